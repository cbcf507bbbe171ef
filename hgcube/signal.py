"""Recording -> high gamma: the envelope of a band, averaged over short windows."""

from __future__ import annotations

from types import EllipsisType
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike

from hgcube import names as n
from hgcube.config import POWER_PRESETS
from hgcube.errors import CubeError, OptionError, UnknownLabelError
from hgcube.kernels import filters as kernels
from hgcube.kernels.windows import sliding_windows
from hgcube.schema import check, finish, passed_on, sampling_frequency


def high_gamma(  # noqa: PLR0913
    recording: xr.DataArray,
    *,
    preset: str = "field",
    band: tuple[float, float] | None = None,
    order: int | None = None,
    window: float | EllipsisType | None = ...,
    step: float | EllipsisType | None = ...,
    log: bool | None = None,
    line_frequency: float | None = None,
    dtype: DTypeLike | None = None,
) -> xr.DataArray:
    """Return the high-gamma envelope of every electrode.

    Parameters
    ----------
    recording : xarray.DataArray
        (electrode, time) in V; ``time.attrs["sampling_frequency"]`` in Hz.
    preset : {"field", "paper", "authors"}
        ``authors``: the feature script of the data set (Verwoert et al. 2022): linear detrend,
        band-pass, band-stops at the line harmonics inside the band, envelope, means over 50 ms
        every 10 ms, on the numbers as stored. ``paper``: the same without windows. ``field``:
        volts, line harmonics stopped first, windows, natural logarithm.
    band, order, window, step, log
        As in `band_power`; left out, the preset's. ``window=None``: no windows.
    line_frequency : float, optional
        In Hz; by default ``recording.attrs["line_frequency"]``.
    dtype : dtype, optional
        As in `band_power`.

    Returns
    -------
    xarray.DataArray
        As `band_power`, with the attribute ``preset``.

    Raises
    ------
    OptionError, CubeError
        As `band_power`.
    UnknownLabelError
        If there is no such preset.
    """
    if preset not in POWER_PRESETS:
        raise UnknownLabelError.of("preset of high gamma", preset, POWER_PRESETS)
    numbers: dict[str, Any] = {"band": band, "order": order, "log": log}
    lengths: dict[str, Any] = {"window": window, "step": step}
    given = {name: value for name, value in numbers.items() if value is not None}
    given |= {name: value for name, value in lengths.items() if value is not ...}
    settings = {**POWER_PRESETS[preset], **given}
    power = band_power(recording, line_frequency=line_frequency, dtype=dtype, **settings)
    return power.assign_attrs(long_name="high-gamma envelope", preset=preset)


def band_power(  # noqa: PLR0913
    recording: xr.DataArray,
    *,
    band: tuple[float, float],
    order: int = 4,
    window: float | None = 0.05,
    step: float | None = 0.01,
    log: bool = True,
    notch: Literal["first", "last"] = "first",
    as_stored: bool = False,
    line_frequency: float | None = None,
    dtype: DTypeLike | None = None,
) -> xr.DataArray:
    """Return the envelope of any band: detrend, zero-phase Butterworth filters, |Hilbert|, windows.

    Electrodes never meet, and a result does not depend on how the recording is chunked.

    Parameters
    ----------
    recording : xarray.DataArray
        (electrode, time) in V; ``time.attrs["sampling_frequency"]`` in Hz.
    band : tuple of float
        Edges of the band-pass in Hz.
    order : int
        Of every Butterworth filter.
    window, step : float or None
        Length and distance of the windows that are averaged, in s; ``window=None`` keeps the
        recording's rate.
    log : bool
        Natural logarithm (after the windows).
    notch : {"first", "last"}
        Where the band-stops of +- 2 Hz around the line harmonics go: before the band-pass (all
        harmonics up to the upper edge) or after it (those inside the band).
    as_stored : bool
        Divide by the coordinate ``stored_scale`` where there is one.
    line_frequency : float, optional
        In Hz; by default ``recording.attrs["line_frequency"]``.
    dtype : dtype, optional
        float32 or float64 of the result; the recording's by default. Everything is computed in
        float64.

    Returns
    -------
    xarray.DataArray
        Kind ``high_gamma``: (electrode, time), lazy if the recording is. ``time`` is each window's
        centre. Units: ``"V"``, ``"as stored"``, or ``"ln(V)"``. An electrode with a value that is
        not finite is NaN; a flat one is NaN under `log`, else 0.

    Raises
    ------
    OptionError
        If the band does not fit the sampling frequency, the line frequency is unknown, or the
        windows do not fit the recording.
    CubeError
        If the recording does not meet its spec.
    """
    check(recording, "recording")
    rate = sampling_frequency(recording)
    line = _line_frequency(recording, line_frequency)
    sections = _filters(band, order, rate, line, notch)
    windows = _windows(recording.sizes[n.TIME], rate, window, step, sections)
    computed = np.dtype(dtype or recording.dtype)
    if computed not in (np.float32, np.float64):
        raise OptionError("dtype float32 or float64", str(computed), "Pass dtype='float64'")
    time = _centres(recording[n.TIME], windows, step)
    power = xr.apply_ufunc(
        kernels.band_envelope,
        recording,
        _divisor(recording, as_stored),
        kwargs={"filters": sections, "windows": windows, "log": log, "dtype": computed},
        input_core_dims=[[n.TIME], []],
        output_core_dims=[[n.TIME]],
        exclude_dims={n.TIME},
        join="exact",
        dask="parallelized",
        output_dtypes=[computed],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {n.TIME: time.size}},
    )
    attrs = {"band": list(band), "order": order, "notch": notch, n.LINE_FREQUENCY: line}
    averaged = {} if window is None else {"window": window, "step": step}
    return finish(
        power.assign_coords({n.TIME: time}),
        "high_gamma",
        units=_units(as_stored, log),
        long_name=f"{band[0]:g}-{band[1]:g} Hz envelope",
        attrs={**attrs, **averaged, "log": log, **passed_on(recording, n.SIMULATED)},
    )


def _line_frequency(recording: xr.DataArray, given: float | None) -> float:
    stated = recording.attrs.get(n.LINE_FREQUENCY) if given is None else given
    if stated is None:
        raise OptionError(
            "the line frequency of the recording (50 or 60 Hz)",
            "none, as an argument or in recording.attrs['line_frequency']",
            "Pass line_frequency=50 or line_frequency=60",
        )
    if not 10 <= float(stated) < np.inf:
        raise OptionError("a line frequency of 10 Hz or more", repr(stated), "Pass 50 or 60")
    return float(stated)


def _filters(
    band: tuple[float, float],
    order: int,
    rate: float,
    line: float,
    notch: str,
) -> list[kernels.Floats]:
    if notch not in ("first", "last"):
        raise OptionError("notch 'first' or 'last'", repr(notch), "Pass one of them")
    if order < 1:
        raise OptionError("a filter order of at least 1", repr(order), "Pass order=4")
    low, high = band
    if not 0 < low < high:
        raise OptionError("a band (low, high) in Hz with 0 < low < high", str(band), "Swap or mend")
    _below_nyquist(high, "band", band, rate)
    stops = kernels.line_stops(line, band, below=notch == "first")
    for stop in stops:
        _below_nyquist(stop[1], "band-stop", stop, rate)
    passing = [kernels.butterworth(band, order, rate)]
    stopping = [kernels.butterworth(stop, order, rate, stop=True) for stop in stops]
    return stopping + passing if notch == "first" else passing + stopping


def _below_nyquist(high: float, what: str, edges: tuple[float, float], rate: float) -> None:
    if high >= rate / 2:
        raise OptionError(
            f"a {what} below half the sampling frequency, {rate / 2:g} Hz",
            f"the {what} {edges[0]:g}-{edges[1]:g} Hz at {rate:g} Hz",
            f"Use a recording sampled above {2 * high:g} Hz, or a lower band",
        )


def _windows(
    n_samples: int,
    rate: float,
    window: float | None,
    step: float | None,
    sections: list[kernels.Floats],
) -> tuple[kernels.Indices, kernels.Indices] | None:
    needed = kernels.shortest(sections)
    if n_samples < needed:
        raise CubeError(
            f"at least {needed} samples to filter",
            f"{n_samples} samples at {rate:g} Hz",
            "Use a longer recording",
        )
    if window is None:
        return None
    if step is None or min(window, step) * rate < 1:
        raise OptionError(
            f"a window and a step of at least one sample ({1 / rate:.2g} s)",
            f"window={window}, step={step}",
            "Pass both in s, or window=None for the envelope at the recording's rate",
        )
    windows = sliding_windows(n_samples, rate, window, step)
    if not windows[0].size:
        raise OptionError(
            f"a window shorter than the recording ({n_samples / rate:.3g} s)",
            f"window={window} s with step={step} s",
            "Use a shorter window",
        )
    return windows


def _centres(
    time: xr.DataArray,
    windows: tuple[kernels.Indices, kernels.Indices] | None,
    step: float | None,
) -> xr.DataArray:
    if windows is None or step is None:
        return xr.DataArray(time.values, dims=n.TIME, attrs=time.attrs)
    starts, stops = windows
    centres = (time.values[starts] + time.values[stops - 1]) / 2
    attrs = {**time.attrs, n.SAMPLING_FREQUENCY: 1 / step}
    return xr.DataArray(centres, dims=n.TIME, attrs=attrs)


def _divisor(recording: xr.DataArray, as_stored: bool) -> xr.DataArray:
    """Return what each electrode is divided by to be in the wanted units."""
    stated = recording.attrs.get("units", n.VOLT)
    wanted = n.STORED_UNITS if as_stored else n.VOLT
    ones = xr.DataArray(np.ones(recording.sizes[n.ELECTRODE]), dims=n.ELECTRODE)
    if stated == wanted or (as_stored and n.STORED_SCALE not in recording.coords):
        return ones
    if n.STORED_SCALE not in recording.coords:
        raise CubeError(
            "a recording in V, or the coordinate 'stored_scale' to convert it",
            f"units {stated!r} without it",
            "Convert the recording to volts, or use preset='paper' or preset='authors'",
        )
    scale = ones.copy(data=recording[n.STORED_SCALE].values.astype(np.float64))
    if not bool((np.isfinite(scale) & (scale != 0)).all()):
        raise CubeError(
            "a finite 'stored_scale' other than 0 for every electrode",
            f"{int((~np.isfinite(scale) | (scale == 0)).sum())} of {scale.size} without",
            "Use preset='field', or a reference that does not mix electrodes of different scales",
        )
    return scale if as_stored else 1 / scale


def _units(as_stored: bool, log: bool) -> str:
    if not log:
        return n.STORED_UNITS if as_stored else n.VOLT
    return n.LOG_STORED if as_stored else n.LOG_VOLT
