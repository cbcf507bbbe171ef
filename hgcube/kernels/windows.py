"""Means over stretches of samples: sliding windows and word-locked segments."""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Indices = np.ndarray[Any, np.dtype[np.integer[Any]]]

_ROWS = 8

_EDGE = 1e-9


def sliding_windows(
    n_samples: int, sampling_frequency: float, window: float, step: float
) -> tuple[Indices, Indices]:
    """Return the first sample of each window and the one after its last.

    The same samples as in the data-set authors' feature script (Verwoert et al. 2022): window w
    covers floor(w * step * sampling_frequency) up to, not including,
    floor(start + window * sampling_frequency).

    Parameters
    ----------
    n_samples : int
        Length of the recording.
    sampling_frequency : float
        In Hz; any positive number.
    window, step : float
        In s.

    Returns
    -------
    starts, stops : numpy.ndarray of int, shape (n_windows,)
        Empty if the recording is not longer than a window.

    Examples
    --------
    >>> starts, stops = sliding_windows(30, 100.0, 0.1, 0.05)
    >>> starts.tolist(), stops.tolist()
    ([0, 5, 10, 15], [10, 15, 20, 25])
    """
    count = int(np.floor((n_samples - window * sampling_frequency) / (step * sampling_frequency)))
    starts = np.floor((np.arange(max(count, 0)) * step) * sampling_frequency)
    stops = np.floor(starts + window * sampling_frequency)
    return starts.astype(np.intp), stops.astype(np.intp)


def lag_centres(lags: tuple[float, float], step: float) -> Floats:
    """Return the centres of windows of one `step` around a word's onset.

    Parameters
    ----------
    lags : tuple of float
        First and last, in s.
    step : float
        In s.

    Returns
    -------
    numpy.ndarray of float64

    Examples
    --------
    >>> lag_centres((-0.1, 0.24), 0.1).tolist()
    [-0.1, 0.0, 0.1, 0.2]
    """
    count = int((lags[1] - lags[0]) / step + _EDGE) + 1
    return np.asarray(np.round(lags[0] + step * np.arange(count), 9))


def segment_means(signals: Floats, starts: Indices, stops: Indices) -> Floats:
    """Return the mean of each segment of each row.

    Every segment is summed on its own (no running sum), so a NaN or a large artefact in one
    segment touches no other, and no precision is lost over a long recording.

    Parameters
    ----------
    signals : numpy.ndarray, shape (rows, samples)
    starts, stops : numpy.ndarray of int, any one shape
        Half-open ranges inside ``[0, samples]``; they may overlap and come in any order.

    Returns
    -------
    numpy.ndarray, shape (rows, *starts.shape)
        NaN where a range is empty; the dtype of `signals`.
    """
    bounds = np.stack([starts.ravel(), stops.ravel()], axis=-1).ravel()
    counts = (stops - starts).ravel()
    means = np.empty((signals.shape[0], counts.size), dtype=signals.dtype)
    for first in range(0, signals.shape[0], _ROWS):
        block = signals[first : first + _ROWS]
        # reduceat takes no index behind the last sample: one more sample, never in a sum, makes it
        padded = np.zeros((len(block), block.shape[1] + 1), dtype=signals.dtype)
        padded[:, :-1] = block
        sums = np.add.reduceat(padded, bounds, axis=1, dtype=np.float64)[:, ::2]
        means[first : first + _ROWS] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means.reshape(-1, *starts.shape)


def pooled_mean(signals: Floats, starts: Indices, stops: Indices) -> Floats:
    """Return the mean of each row over the finite samples of all segments together.

    Parameters
    ----------
    signals : numpy.ndarray, shape (rows, samples)
    starts, stops : numpy.ndarray of int, shape (segments,)
        Half-open ranges; a sample in two of them counts twice.

    Returns
    -------
    numpy.ndarray of float64, shape (rows,)
        NaN for a row without a finite sample.
    """
    samples = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])
    pooled = signals[:, samples].astype(np.float64, order="C")  # one order of summation
    finite = np.isfinite(pooled)
    counts = finite.sum(axis=1)
    sums = np.where(finite, pooled, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def locked_means(
    signals: Floats,
    *,
    starts: Indices,
    stops: Indices,
    baseline: tuple[Indices, Indices] | None,
) -> Floats:
    """Return segment means, minus each row's pooled baseline if there is one.

    Parameters
    ----------
    signals : numpy.ndarray, shape (rows, samples)
    starts, stops : numpy.ndarray of int, any one shape
        As in `segment_means`.
    baseline : tuple of two numpy.ndarray of int, optional
        Ranges of the baseline, as in `pooled_mean`.

    Returns
    -------
    numpy.ndarray, shape (rows, *starts.shape)
        The dtype of `signals`.
    """
    means = segment_means(signals, starts, stops)
    if baseline is None:
        return means
    level = pooled_mean(signals, *baseline)
    return (means - level.reshape(-1, *[1] * starts.ndim)).astype(signals.dtype)
