"""Zero-phase band envelopes: detrend, Butterworth filters, analytic amplitude, window means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import fft, signal

from hgcube.kernels.compiled import announced

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Indices = np.ndarray[Any, np.dtype[np.integer[Any]]]

STOP_HALF_WIDTH = 2.0
"""Half the width of a band-stop around a line harmonic, in Hz."""

_NUMBER = np.dtype(np.float64).itemsize

_ROW = np.dtype((np.void, 8 * _NUMBER))

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
    return max(map(_padding, filters)) + 1


def _padding(sections: Floats) -> int:
    return 3 * (2 * len(sections) + 1)


def quadrature(signals: Floats, out: Floats) -> None:
    """Write the Hilbert transform of eight signals.

    The imaginary part of ``scipy.signal.hilbert(signals, len(out), axis=0)``.

    Parameters
    ----------
    signals : numpy.ndarray of float64, shape (samples, 8)
    out : numpy.ndarray of float64, shape (n, 8)
        C-contiguous; n is `samples` or more and has no prime factor above 5.
    """
    samples, length = len(signals), len(out)
    out[:samples], out[samples:] = signals, 0.0
    if length % 2:
        spectrum = fft.rfft(out, axis=0) * -1j
        spectrum[0] = 0
        out[:] = fft.irfft(spectrum, length, axis=0)
    else:
        hilbert = announced("hilbert")
        hilbert.transform(out, hilbert.plan(length))


def band_envelope(
    signals: Floats,
    scale: Floats,
    *,
    filters: Sequence[Floats],
    windows: tuple[Indices, Indices] | None,
    log: bool,
    dtype: np.dtype[Any],
) -> Floats:
    """Return the band envelope of each row, eight rows at a time.

    Parameters
    ----------
    signals : numpy.ndarray, shape (electrodes, samples)
    scale : numpy.ndarray, shape (electrodes,)
        Each envelope is divided by the size of it, as if its signal had been divided first.
    filters : sequence of numpy.ndarray
        Second-order sections, run forward and backward in this order, always in float64.
    windows : tuple of two numpy.ndarray of int, optional
        Starts and stops of the windows that are averaged; without it the envelope itself.
    log : bool
        Natural logarithm of the result; NaN where it is zero.
    dtype : numpy.dtype
        float32 or float64: of the result; everything is computed in float64.

    Returns
    -------
    numpy.ndarray of `dtype`, shape (electrodes, windows or samples)
        All NaN for a row with a value that is not finite. Rows do not feel each other, to the last
        bit.
    """
    lanes = announced("lanes")
    samples, margin = signals.shape[1], shortest(filters)
    cascades = [_cascade(sections) for sections in filters]
    segments = None if windows is None else np.stack(windows, axis=1)
    power = np.empty((len(signals), samples if segments is None else len(segments)), dtype)
    buffer = lanes.empty_lanes(samples + 2 * margin)
    inner = buffer[margin : margin + samples]
    turned = lanes.empty_lanes(fft.next_fast_len(samples, real=True))
    for first in range(0, len(signals), lanes.LANES):
        block = slice(first, first + lanes.LANES)
        _copy(signals[block].T, inner)
        finite = lanes.detrend(inner, _FLAT)
        for padding, sections, steady in cascades:
            lanes.zero_phase(buffer, margin, margin + samples, padding, sections, steady)
        amplitude = _amplitude(inner, turned, segments)
        amplitude[:, ~finite] = np.nan
        power[block] = amplitude[:, : len(power[block])].T / np.abs(scale[block, np.newaxis])
    return _logarithm(power) if log else power


def warm_up() -> None:
    """Compile the chain, if this machine has not."""
    for name in ("lanes", "hilbert"):
        announced(name)


def example() -> None:
    """Run every kernel once, so that it is compiled."""
    window = (np.array([0]), np.array([5]))
    filters = [butterworth((0.2, 0.4), 1, 1.0)]
    numbers = np.dtype(np.float64)
    samples = np.arange(64.0)[np.newaxis]
    band_envelope(samples, np.ones(1), filters=filters, windows=window, log=False, dtype=numbers)


def _copy(samples: Floats, lanes: Floats) -> None:
    """Write samples (time, electrode) into eight lanes; lanes that are left over are zeros."""
    count = samples.shape[1]
    if count == lanes.shape[1] and samples.dtype == lanes.dtype and samples.strides[1] == _NUMBER:
        # NumPy copies eight neighbours faster as one thing of 64 bytes than as eight numbers
        lanes.view(_ROW)[:] = samples.view(_ROW)
    else:
        lanes[:, :count], lanes[:, count:] = samples, 0.0


def _logarithm(power: Floats) -> Floats:
    positive = power > 0
    np.log(power, out=power, where=positive)
    power[~positive] = np.nan
    return power


def _cascade(sections: Floats) -> tuple[int, Floats, Floats]:
    """Return padding, sections and their steady states, filled up by sections that do nothing."""
    whole = announced("lanes").SECTIONS
    idle = np.tile([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], (-len(sections) % whole, 1))
    steady = np.concatenate([signal.sosfilt_zi(sections), np.zeros((len(idle), 2))])
    return _padding(sections), np.concatenate([sections, idle]), steady


def _amplitude(signals: Floats, turned: Floats, segments: Indices | None) -> Floats:
    """Return the amplitude of eight signals, in place or as means over segments."""
    lanes = announced("lanes")
    quadrature(signals, turned)
    lanes.amplitudes(signals, turned)
    if segments is None:
        return signals
    means: Floats = lanes.empty_lanes(len(segments))
    lanes.means(signals, segments, means)
    return means
