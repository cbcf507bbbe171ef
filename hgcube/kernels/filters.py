"""Zero-phase band envelopes: detrend, Butterworth filters, analytic amplitude, window means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import fft, signal

from hgcube.kernels.windows import segment_means

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Indices = np.ndarray[Any, np.dtype[np.integer[Any]]]

STOP_HALF_WIDTH = 2.0
"""Half the width of a band-stop around a line harmonic, in Hz."""

_ROWS = 8
"""Electrodes filtered at once: enough for SciPy's batched FFT, few enough to bound memory."""

_FLAT = 1e-12
"""A row whose residual after detrending is smaller than this part of its size is rounding."""


def line_stops(
    line_frequency: float, band: tuple[float, float], *, below: bool
) -> list[tuple[float, float]]:
    """Return the edges of the band-stops around the harmonics of the line.

    Parameters
    ----------
    line_frequency : float
        In Hz.
    band : tuple of float
        Edges of the band-pass, in Hz.
    below : bool
        Also the harmonics below the band.

    Returns
    -------
    list of tuple of float

    Examples
    --------
    >>> line_stops(50.0, (70.0, 170.0), below=False)
    [(98.0, 102.0), (148.0, 152.0)]
    >>> line_stops(60.0, (70.0, 170.0), below=True)
    [(58.0, 62.0), (118.0, 122.0)]
    """
    low, high = (0.0 if below else band[0]), band[1]
    harmonics = np.arange(1, int(high // line_frequency) + 1) * line_frequency
    return [
        (float(harmonic) - STOP_HALF_WIDTH, float(harmonic) + STOP_HALF_WIDTH)
        for harmonic in harmonics[harmonics >= low]
    ]


def butterworth(
    edges: tuple[float, float], order: int, sampling_frequency: float, *, stop: bool = False
) -> Floats:
    """Return second-order sections of a Butterworth band-pass or band-stop.

    Parameters
    ----------
    edges : tuple of float
        In Hz, ``0 < low < high < sampling_frequency / 2``.
    order : int
        Of the low-pass prototype: the band filter has twice as many poles.
    sampling_frequency : float
        In Hz.
    stop : bool
        Band-stop instead of band-pass.

    Returns
    -------
    numpy.ndarray, shape (order, 6)
    """
    normalised = [edge / (sampling_frequency / 2) for edge in edges]
    if stop:
        return signal.iirfilter(order, normalised, btype="bandstop", output="sos")
    return signal.iirfilter(order, normalised, btype="bandpass", output="sos")


def shortest(filters: Sequence[Floats]) -> int:
    """Return the fewest samples that `filters` can be run over (the odd padding of SciPy)."""
    return max(3 * (2 * len(sections) + 1) for sections in filters) + 1


def detrend(signals: Floats) -> Floats:
    """Return rows minus their least-squares line; a row that is a line becomes exactly zero.

    Parameters
    ----------
    signals : numpy.ndarray of float64, shape (rows, samples)
        Finite.

    Returns
    -------
    numpy.ndarray, shape (rows, samples)
    """
    ramp = np.linspace(-1.0, 1.0, signals.shape[1])
    centred: Floats = signals - signals.mean(axis=1, keepdims=True)
    slope = (centred * ramp).sum(axis=1, keepdims=True) / (ramp @ ramp)
    centred -= slope * ramp
    size = np.abs(signals).max(axis=1)
    centred[np.abs(centred).max(axis=1) <= _FLAT * size] = 0.0
    return centred


def envelope(signals: Floats) -> Floats:
    """Return the amplitude of the analytic signal of each row.

    Equal to ``abs(scipy.signal.hilbert(signals, n)[..., :samples])`` with n the next length that
    has no prime factor above 5, by two real transforms: sqrt(x^2 + irfft(-i rfft x)^2).

    Parameters
    ----------
    signals : numpy.ndarray of float32 or float64, shape (rows, samples)

    Returns
    -------
    numpy.ndarray, shape (rows, samples)
        The dtype of `signals`.
    """
    samples = signals.shape[1]
    length = fft.next_fast_len(samples, real=True)
    spectrum = fft.rfft(signals, length, axis=1)
    spectrum *= -1j
    spectrum[:, 0] = 0
    if length % 2 == 0:
        spectrum[:, -1] = 0
    quadrature = fft.irfft(spectrum, length, axis=1, overwrite_x=True)[:, :samples]
    squares = signals * signals
    squares += quadrature * quadrature
    return np.sqrt(squares, out=squares)


def band_envelope(
    signals: Floats,
    scale: Floats,
    *,
    filters: Sequence[Floats],
    windows: tuple[Indices, Indices] | None,
    log: bool,
    dtype: np.dtype[Any],
) -> Floats:
    """Return the band envelope of each row, a few rows at a time.

    Parameters
    ----------
    signals : numpy.ndarray, shape (electrodes, samples)
    scale : numpy.ndarray, shape (electrodes,)
        Each row is divided by it first.
    filters : sequence of numpy.ndarray
        Second-order sections, run forward and backward in this order, always in float64.
    windows : tuple of two numpy.ndarray of int, optional
        Starts and stops of the windows that are averaged; without it the envelope itself.
    log : bool
        Natural logarithm of the result; NaN where it is zero.
    dtype : numpy.dtype
        float32 or float64: of the transforms and of the result.

    Returns
    -------
    numpy.ndarray of `dtype`, shape (electrodes, windows or samples)
        All NaN for a row with a value that is not finite; other rows do not feel it.
    """
    length = signals.shape[1] if windows is None else len(windows[0])
    power = np.full((signals.shape[0], length), np.nan, dtype=dtype)
    for first in range(0, signals.shape[0], _ROWS):
        rows = slice(first, first + _ROWS)
        # one order of summation, however the recording lies in memory
        block = signals[rows].astype(np.float64, order="C") / scale[rows, np.newaxis]
        finite = np.isfinite(block).all(axis=1)
        if finite.any():
            power[rows][finite] = _finite_power(block[finite], filters, windows, dtype)
    return np.log(power, out=np.full_like(power, np.nan), where=power > 0) if log else power


def _finite_power(
    block: Floats,
    filters: Sequence[Floats],
    windows: tuple[Indices, Indices] | None,
    dtype: np.dtype[Any],
) -> Floats:
    block = detrend(block)
    for sections in filters:
        block = signal.sosfiltfilt(sections, block, axis=1)
    amplitude = envelope(block.astype(dtype, copy=False))
    return amplitude if windows is None else segment_means(amplitude, *windows)
