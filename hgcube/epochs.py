"""High gamma + words -> epochs: power around each word, locked to its display or its voice."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError, OptionError
from hgcube.kernels.windows import Indices, lag_centres, locked_means
from hgcube.schema import added_flags, check, finish, passed_on, sampling_frequency, word_coords

_LOG = logging.getLogger("hgcube")

_EDGE = 1e-9
"""Samples this close before an edge, in s, belong to what begins there: clocks are decimal."""

_LOCKS = {"voice": n.VOICE_ONSET, "display": n.ONSET}
_TARGETS = ("windows", "mean")
_OUTSIDE, _SILENT = "outside", "silent"


def epoch(
    power: xr.DataArray,
    words: xr.DataArray,
    *,
    lock: str = "voice",
    target: str = "windows",
    lags: tuple[float, float] = (-0.5, 1.0),
    step: float = 0.05,
    baseline: tuple[float, float] | None = None,
) -> xr.DataArray:
    """Return the power around each word.

    Parameters
    ----------
    power : xarray.DataArray
        Kind ``high_gamma``: (electrode, time).
    words : xarray.DataArray
        Kind ``words`` with the coordinate ``onset``, and ``voice_onset`` for ``lock="voice"``.
    lock : {"voice", "display"}
        What lag 0 is.
    target : {"windows", "mean"}
        ``windows``: for each lag from ``lags[0]`` to ``lags[1]`` every `step`, the mean of the
        samples from step/2 before to step/2 after it. ``mean``: one number, the mean of the samples
        from ``lags[0]`` up to, not including, ``lags[1]``. A sample lies at its ``time``: a
        window's centre.
    lags : tuple of float
        In s after the onset, ``lags[0] < lags[1]``.
    step : float
        In s.
    baseline : tuple of float, optional
        In s after the *display*. Per electrode, the mean over these samples of all words is
        subtracted; only where `power` is a logarithm.

    Returns
    -------
    xarray.DataArray
        Kind ``epochs``: (word, electrode[, lag]), as lazy as `power`, in its units or, with a
        baseline, ``"ln(V/V)"``. Rows of words that reach beyond the recording are NaN and flagged
        ``"outside"``, those without a voice onset NaN and ``"silent"``; words that a table marks
        (flag ``"bad: reason"``) are NaN and in no baseline. All are counted in the log.

    Raises
    ------
    OptionError
        If lags, step, lock, target or baseline do not fit.
    CubeError
        If power or words do not meet their spec.
    """
    check(power, "high_gamma")
    check(words, "words")
    _check_options(lock, target, lags, step, sampling_frequency(power))
    onsets = _onsets(words, lock)
    offsets = _edges(lags, step, target)
    inside = _inside(onsets, offsets, power)
    bounds = _positions(power, np.where(inside & ~_bad(words), onsets, np.nan), offsets)
    core = {n.WORD: len(onsets), n.LAG: len(offsets) - 1}
    if target == "mean":
        del core[n.LAG]
    epochs = xr.apply_ufunc(
        locked_means,
        power,
        kwargs={
            "starts": bounds[:, :-1].reshape(tuple(core.values())),
            "stops": bounds[:, 1:].reshape(tuple(core.values())),
            "baseline": _baseline(power, words, baseline),
        },
        input_core_dims=[[n.TIME]],
        output_core_dims=[list(core)],
        exclude_dims={n.TIME},
        join="exact",
        dask="parallelized",
        output_dtypes=[power.dtype],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": core},
    )
    coords = {
        **word_coords(words),
        n.FLAG: _flags(words, inside, onsets, lock=lock, where=_where(power, target)),
    }
    if target == "windows":
        coords[n.LAG] = xr.DataArray(lag_centres(lags, step), dims=n.LAG, attrs={"units": n.SECOND})
    settings = {"target": target, "lock": lock, "lags": lags, "step": step, "baseline": baseline}
    return finish(
        epochs.assign_coords(coords),
        "epochs",
        units=power.attrs.get("units") if baseline is None else n.LOG_RATIO,
        attrs=_stated(settings) | passed_on(power, n.SIMULATED),
    )


def _check_options(
    lock: str, target: str, lags: tuple[float, float], step: float, rate: float
) -> None:
    for name, got, known in (("lock", lock, _LOCKS), ("target", target, _TARGETS)):
        if got not in known:
            raise OptionError(f"{name} to be one of {sorted(known)}", repr(got), "Pass one of them")
    if len(lags) != 2 or not lags[0] < lags[1]:
        raise OptionError("lags (first, last) in s with first < last", str(lags), "Swap or mend")
    if target == "windows" and not 1 / rate <= step <= lags[1] - lags[0]:
        raise OptionError(
            f"a step between one sample ({1 / rate:g} s) and the span of the lags {lags}",
            f"step={step} s at {rate:g} Hz",
            "Use a longer step, or power with a higher rate",
        )


def _onsets(words: xr.DataArray, lock: str) -> np.ndarray[Any, Any]:
    name = _LOCKS[lock]
    if name not in words.coords:
        raise CubeError(
            f"words with the coordinate {name!r} (s)",
            f"coordinates {list(map(str, words.coords))}",
            "Run voice_onsets(words, audio) or, without audio, use lock='display'"
            if lock == "voice"
            else "Assign it along 'word'",
        )
    return np.asarray(words[name].values, dtype=np.float64)


def _edges(lags: tuple[float, float], step: float, target: str) -> np.ndarray[Any, Any]:
    """Return where the windows of a word begin and, one later, end; s after the onset."""
    if target == "mean":
        return np.asarray(lags, dtype=np.float64)
    centres = lag_centres(lags, step)
    return np.append(centres, centres[-1] + step) - step / 2


def _inside(
    onsets: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any], power: xr.DataArray
) -> np.ndarray[Any, Any]:
    """Return which words have an onset and all their lags within the recording.

    A sample of power stands for its window: the recording goes half a window further.
    """
    slack = 1 / sampling_frequency(power) + float(power.attrs.get("window", 0)) / 2
    first, last = power[n.TIME].values[[0, -1]]
    begun = onsets + offsets[0] >= first - slack
    return np.asarray(begun & (onsets + offsets[-1] <= last + slack))


def _positions(
    power: xr.DataArray, onsets: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any]
) -> Indices:
    """Return the first sample at or after each edge; an empty range where there is no onset."""
    edges = np.nan_to_num(onsets, nan=-np.inf)[:, np.newaxis] + offsets - _EDGE
    positions: Indices = np.searchsorted(power[n.TIME].values, edges, side="left")
    return positions


def _baseline(
    power: xr.DataArray, words: xr.DataArray, baseline: tuple[float, float] | None
) -> tuple[Indices, Indices] | None:
    if baseline is None:
        return None
    units = power.attrs.get("units")
    if units not in (n.LOG_VOLT, n.LOG_STORED):
        raise OptionError(
            f"power in {n.LOG_VOLT} for a baseline: the difference of logarithms is a ratio",
            f"baseline={baseline} with units {units!r}",
            'Use high_gamma(..., log=True), or baseline=None (baseline = "none" in study.toml)',
        )
    displays = _onsets(words, "display")[~_bad(words)]
    bounds = _positions(power, displays, np.asarray(baseline, dtype=np.float64))
    starts, stops = bounds[:, 0], bounds[:, 1]
    if not (starts < stops).any():
        raise OptionError(
            "a baseline (begin, end) in s after the display with samples in it",
            f"none in {baseline} for {displays.size} words",
            "Use for example baseline=(-0.5, 0.0)",
        )
    return starts[starts < stops], stops[starts < stops]


def _flags(
    words: xr.DataArray,
    inside: np.ndarray[Any, Any],
    onsets: np.ndarray[Any, Any],
    *,
    lock: str,
    where: str,
) -> xr.DataArray:
    silent = np.isnan(onsets) & (lock == "voice")
    bad = _bad(words)
    for name, marked in ((_OUTSIDE, ~inside & ~silent), (_SILENT, silent), ("marked bad", bad)):
        if marked.any():
            first = words.values[marked][:3].tolist()
            _LOG.warning(
                "%s: %d of %d words are %s and NaN, such as %s",
                *(where, marked.sum(), words.size, name, first),
            )
    new = np.where(silent, _SILENT, np.where(inside, "", _OUTSIDE)).tolist()
    return xr.DataArray(added_flags(words, n.FLAG, n.WORD, new), dims=n.WORD)


def _bad(words: xr.DataArray) -> np.ndarray[Any, Any]:
    """Return which words a table marks as bad."""
    if n.FLAG not in words.coords:
        return np.zeros(words.size, dtype=bool)
    flags = [str(flag).split(";") for flag in words[n.FLAG].values]
    return np.array([any(part.startswith(f"{n.BAD}:") for part in flag) for flag in flags])


def _where(power: xr.DataArray, target: str) -> str:
    """Say for the log whose epochs these are."""
    subjects = dict.fromkeys(map(str, power.coords.get(n.SUBJECT, xr.DataArray([])).values.flat))
    return " ".join(["epochs", *subjects, target])


def _stated(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were used, as attributes that every format can store."""
    used = {name: value for name, value in settings.items() if value is not None}
    if used["target"] == "mean":
        del used["step"]
    return {k: list(v) if isinstance(v, tuple) else v for k, v in used.items()}
