"""Log energies of a sound in bands of equal width on the mel scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

FLOOR = 1e-10
"""Energies below are this: half a step of 16-bit samples."""


def band_edges(n_mels: int, sampling_frequency: float) -> Floats:
    """Return where triangular bands begin, peak and end: evenly on the mel scale from 0 Hz.

    The scale is HTK's, mel = 2595 log10(1 + f / 700 Hz) (Young et al., The HTK Book, 5.4).

    Parameters
    ----------
    n_mels : int
        Bands.
    sampling_frequency : float
        In Hz; the last band ends at half of it.

    Returns
    -------
    numpy.ndarray of float64, shape (n_mels + 2,)
        In Hz. Band k rises from edge k to its centre, edge k + 1, and falls to edge k + 2.
    """
    highest = 2595 * np.log10(1 + sampling_frequency / 2 / 700)
    mels = np.linspace(0, highest, n_mels + 2)
    return np.asarray(700 * (10 ** (mels / 2595) - 1))


def mel_filters(n_mels: int, size: int, sampling_frequency: float) -> Floats:
    """Return triangular filters of height 1 on the bins of a real Fourier transform.

    Parameters
    ----------
    n_mels : int
    size : int
        Samples of a transform.
    sampling_frequency : float
        In Hz.

    Returns
    -------
    numpy.ndarray of float64, shape (n_mels, size // 2 + 1)
    """
    edges = band_edges(n_mels, sampling_frequency)
    widths = np.diff(edges)
    ramps = np.fft.rfftfreq(size, 1 / sampling_frequency) - edges[:, np.newaxis]
    rising, falling = ramps[:-2] / widths[:-1, np.newaxis], -ramps[2:] / widths[1:, np.newaxis]
    return np.maximum(0, np.minimum(rising, falling))


def log_mel(
    sound: Floats, sampling_frequency: float, *, n_mels: int, window: int, step: int
) -> Floats:
    """Return the logarithm of the energy in each band over time.

    Parameters
    ----------
    sound : numpy.ndarray, shape (samples,)
    sampling_frequency : float
        In Hz.
    n_mels : int
    window, step : int
        In samples. A window has Hann's shape; its power is that of the samples weighed by it.

    Returns
    -------
    numpy.ndarray of float64, shape (frames, n_mels)
        Natural logarithm; not below that of `FLOOR`. Frame k begins at sample k * step.
    """
    if len(sound) < window:
        return np.empty((0, n_mels))
    frames = sliding_window_view(sound.astype(np.float64), window)[::step]
    shape = np.hanning(window + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * shape)) ** 2 / np.sum(shape) ** 2
    energy = power @ mel_filters(n_mels, window, sampling_frequency).T
    return np.log(np.maximum(energy, FLOOR))
