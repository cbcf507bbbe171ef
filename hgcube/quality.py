"""What is wrong with an electrode: found, named, and never dropped silently."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError
from hgcube.kernels.flatness import flat_fraction, not_finite
from hgcube.schema import added_flags, bad_electrodes, check, sampling_frequency, text_array

FLAT_STRETCH = 1.0
"""Length in s of the stretches that are looked at for variance."""

FLAT_FRACTION = 0.5
"""An electrode without variance in more than this part of the stretches is flat."""

_TEXT = np.dtypes.StringDType()


def electrode_problems(recording: xr.DataArray) -> xr.DataArray:
    """Return what is wrong with each electrode, as text.

    Parameters
    ----------
    recording : xarray.DataArray
        (electrode, time); ``time.attrs["sampling_frequency"]`` in Hz.

    Returns
    -------
    xarray.DataArray
        (electrode), text, lazy if the recording is: ``"missing"`` if any value is NaN or infinite,
        ``"flat"`` if the signal does not change at all in more than half of its 1 s stretches
        (`FLAT_STRETCH`, `FLAT_FRACTION`), else ``""``.

    Raises
    ------
    CubeError
        If the recording does not meet its spec.
    """
    check(recording, "recording")
    length = round(FLAT_STRETCH * sampling_frequency(recording))
    problems: xr.DataArray = xr.apply_ufunc(
        _problems,
        recording,
        kwargs={"length": min(max(length, 2), recording.sizes[n.TIME])},
        input_core_dims=[[n.TIME]],
        join="exact",
        dask="parallelized",
        output_dtypes=[_TEXT],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    named = problems.rename("problem").drop_attrs(deep=False)
    return named.assign_attrs(long_name="problem of the electrode")


def mark_problems(recording: xr.DataArray, problems: xr.DataArray) -> xr.DataArray:
    """Return the recording with the problems added to its coordinates ``bad`` and ``bad_reason``.

    Parameters
    ----------
    recording : xarray.DataArray
        Any cube with the dim ``electrode``; stays lazy.
    problems : xarray.DataArray
        As `electrode_problems` returns, the same electrodes in the same order. Computed, because
        coordinates live in memory.

    Returns
    -------
    xarray.DataArray
        What was bad stays bad; several reasons are joined by ``";"``.

    Raises
    ------
    CubeError
        If the electrodes of the two are not the same.
    """
    labels = [list(cube.get_index(n.ELECTRODE)) for cube in (recording, problems)]
    if labels[0] != labels[1]:
        raise CubeError(
            "the problems of the recording's electrodes, in its order",
            f"{len(labels[1])} other or otherwise ordered labels for {len(labels[0])} electrodes",
            "Pass electrode_problems(recording), or reindex it to the recording's electrodes",
        )
    found = [str(problem) for problem in problems.values]
    reasons = added_flags(recording, n.BAD_REASON, n.ELECTRODE, found)
    bad = bad_electrodes(recording) | np.array([problem != "" for problem in found], dtype=bool)
    return recording.assign_coords(
        {n.BAD: (n.ELECTRODE, bad), n.BAD_REASON: (n.ELECTRODE, reasons)}
    )


def _problems(signals: np.ndarray[Any, Any], *, length: int) -> np.ndarray[Any, Any]:
    missing = not_finite(signals)
    flat = np.zeros(len(signals), dtype=bool)
    flat[~missing] = flat_fraction(signals[~missing], length) > FLAT_FRACTION
    return text_array(np.where(missing, "missing", np.where(flat, "flat", "")))
