"""Putting together what several stages or recordings say about one part."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError
from hgcube.quality import electrode_problems, mark_problems
from hgcube.schema import joined_flags, text_array


def marked(recording: xr.Dataset) -> xr.Dataset:
    """Add what is wrong with the signals to what the tables say is wrong with the electrodes.

    Parameters
    ----------
    recording : xarray.Dataset
        Recording set. The signals are read once, in blocks, and stay lazy.

    Returns
    -------
    xarray.Dataset
        With `bad` and `bad_reason` of (electrode) completed.
    """
    ieeg = mark_problems(recording["ieeg"], electrode_problems(recording["ieeg"]))
    return recording.assign_coords({name: ieeg.coords[name] for name in (n.BAD, n.BAD_REASON)})


def with_words(recording: xr.Dataset, words: xr.DataArray) -> xr.Dataset:
    """Return the recording set with its words replaced, coordinates included.

    Parameters
    ----------
    recording : xarray.Dataset
    words : xarray.DataArray

    Returns
    -------
    xarray.Dataset
    """
    return recording.assign_coords(words.coords).assign(words=words.variable)


def along_words(parts: list[xr.DataArray]) -> xr.DataArray:
    """Join what several recordings of one subject gave, and number the words anew.

    Parameters
    ----------
    parts : list of xarray.DataArray
        With `word` and equal other dims, in the order of the recordings.

    Returns
    -------
    xarray.DataArray
        An electrode that is bad in one recording is bad in all; words without vector are added up.

    Raises
    ------
    CubeError
        If the recordings have other electrodes, features or lags.
    """
    if len(parts) == 1:
        return parts[0]
    try:
        joined = xr.concat(
            parts,
            n.WORD,
            join="exact",
            coords="minimal",
            compat="override",
            combine_attrs="drop_conflicts",
        )
    except ValueError:
        raise CubeError(
            "recordings of one subject with the same electrodes",
            " and ".join(str(dict(part.sizes)) for part in parts),
            "Leave the recordings that differ out of the study, or name their task",
        ) from None
    joined = joined.assign_coords({n.WORD: np.arange(joined.sizes[n.WORD])})
    if all("n_without_vector" in part.attrs for part in parts):
        joined.attrs["n_without_vector"] = sum(part.attrs["n_without_vector"] for part in parts)
    return joined.assign_coords(_bad_in_any(parts)) if n.BAD in joined.coords else joined


def _bad_in_any(parts: list[xr.DataArray]) -> dict[str, Any]:
    bad = np.any([part[n.BAD].values for part in parts], axis=0)
    reasons = [
        joined_flags(*of_one)
        for of_one in zip(*(part[n.BAD_REASON].values.tolist() for part in parts), strict=True)
    ]
    return {n.BAD: (n.ELECTRODE, bad), n.BAD_REASON: (n.ELECTRODE, text_array(reasons))}
