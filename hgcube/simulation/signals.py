"""Arrays of one electrode: 1/f noise whose high-gamma band follows a log gain, line and drift.

Everything is in units of the electrode's own high-gamma standard deviation until `scale`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft, special

Array = np.ndarray[Any, np.dtype[np.float64]]

BAND = (70.0, 170.0)
TARGET_DURATION = 0.5
KNEE = 2.0

_RAMP = 0.05
_PASS = (60.0, 180.0)
_STOP = (50.0, 200.0)
_N_HARMONICS = 4


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What all electrodes of one run share.

    Parameters
    ----------
    n_samples, n_fft : int
        Samples written, and samples of the noise before it is cut (a fast FFT length).
    amplitudes : ndarray (2, n_fft // 2 + 1)
        Spectral amplitude of background and of high gamma.
    line : ndarray (2 * harmonics, n_samples)
        Sines and cosines of line noise, falling with the square of the harmonic.
    slow : ndarray (3, n_samples)
        Half-cosines over the session (all runs): what slow-trend regressors can take out.
    """

    n_samples: int
    n_fft: int
    amplitudes: Array
    line: Array
    slow: Array


def make_basis(
    n_samples: int,
    sampling_frequency: float,
    line_frequency: float,
    span: tuple[float, float] = (0.0, 1.0),
) -> Basis:
    """Return the `Basis` of a run that covers `span` of the session."""
    n_fft = fft.next_fast_len(n_samples, real=True)
    frequencies = fft.rfftfreq(n_fft, 1 / sampling_frequency)
    return Basis(
        n_samples=n_samples,
        n_fft=n_fft,
        amplitudes=_amplitudes(frequencies, n_fft),
        line=_line(n_samples, sampling_frequency, line_frequency),
        slow=np.cos(np.pi * np.outer(np.arange(1, 4), np.linspace(*span, n_samples))),
    )


def neural_signal(basis: Basis, log_gain: Array, rng: np.random.Generator) -> Array:
    """Return 1/f noise whose band 70-170 Hz is multiplied by exp(`log_gain`).

    Parameters
    ----------
    basis : Basis
    log_gain : ndarray (n_samples,)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray (n_samples,)
        The band 70-170 Hz has a standard deviation of 1 where the gain is 0.
    """
    white = rng.standard_normal(2 * basis.amplitudes.shape[1]).view(complex)
    background, gamma = (
        fft.irfft(white * amplitude, basis.n_fft)[: basis.n_samples]
        for amplitude in basis.amplitudes
    )
    background += gamma * np.exp(log_gain)
    return background


def line_noise(basis: Basis, amplitude: float, rng: np.random.Generator) -> Array:
    """Return line noise with random phases; `amplitude` is that of the fundamental."""
    phase = rng.uniform(0, 2 * np.pi, len(basis.line) // 2)
    noise: Array = amplitude * (np.concatenate([np.cos(phase), np.sin(phase)]) @ basis.line)
    return noise


def slow_wave(basis: Basis, rng: np.random.Generator) -> Array:
    """Return a smooth random curve with a standard deviation of 1 over the session."""
    weights = rng.standard_normal(len(basis.slow))
    curve: Array = np.sqrt(2) * weights / np.linalg.norm(weights) @ basis.slow
    return curve


def add_locked(
    log_gain: Array, kernel: Array, lead: int, starts: np.ndarray[Any, Any], sizes: Array
) -> None:
    """Add `kernel` times each word's size to `log_gain`, in place.

    Parameters
    ----------
    log_gain : ndarray (n_samples,)
    kernel : ndarray (length,)
        Its sample `lead` falls on the start of the word.
    lead : int
    starts : ndarray of int (n_words,)
        Sample of each voice onset.
    sizes : ndarray (n_words,)
    """
    at = starts[:, None] - lead + np.arange(len(kernel))
    inside = (at >= 0) & (at < len(log_gain))
    np.add.at(log_gain, at[inside], (sizes[:, None] * kernel)[inside])


def word_kernel(sampling_frequency: float) -> tuple[Array, int]:
    """Return the course of a word's log gain and its lead in samples.

    1 from voice onset to 0.5 s after it, with cosine ramps of 50 ms outside, so that the mean
    log envelope over 0-0.5 s moves by the gain itself.
    """
    lead = round(_RAMP * sampling_frequency)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(lead) + 0.5) / lead)
    plateau = np.ones(round(TARGET_DURATION * sampling_frequency))
    return np.concatenate([ramp, plateau, ramp[::-1]]), lead


def onset_kernel(sampling_frequency: float) -> tuple[Array, int]:
    """Return the course of the response to speech onset: peak 1 at 0.12 s, over at 0.6 s."""
    seconds = np.arange(round(0.6 * sampling_frequency)) / sampling_frequency
    taper = np.cos(np.pi / 2 * seconds / 0.6)
    return seconds / 0.12 * np.exp(1 - seconds / 0.12) * taper, 0


def envelope_variance(duration: float = TARGET_DURATION, n_bins: int = 5_000) -> float:
    r"""Return the sampling variance of the mean log envelope of the simulated high gamma.

    With complex Gaussian :math:`z` of autocorrelation :math:`\rho`, the covariance of
    :math:`\ln|z(t)|` and :math:`\ln|z(t+\tau)|` is :math:`\mathrm{Li}_2(|\rho(\tau)|^2) / 4`
    (its variance is :math:`\pi^2 / 24`), which is averaged over all pairs of instants in
    `duration`. :math:`\rho` is the Fourier transform of the 1/f spectrum inside a
    zero-phase Butterworth band-pass of order 4 at 70-170 Hz: about 80 Hz of noise bandwidth,
    hence about 40 independent values in 0.5 s.

    Parameters
    ----------
    duration : float
        Seconds that are averaged.
    n_bins : int
        Steps of the integral over time differences.

    Returns
    -------
    float
        In squared natural-log units.

    References
    ----------
    The bivariate law of ln|z| follows from the Laguerre expansion of two correlated
    exponentials, whose logarithms have covariance sum(|rho|^(2k) / k^2).
    """
    frequencies = np.arange(20.0, 400.0, 0.25)
    detuning = (frequencies**2 - BAND[0] * BAND[1]) / (frequencies * (BAND[1] - BAND[0]))
    passed = 1 / (1 + detuning**8)
    power = (passed * _background(frequencies) * _gamma_share(frequencies)) ** 2
    lags = (np.arange(n_bins) + 0.5) / n_bins * duration
    correlation = _transform(power / power.sum(), frequencies, lags)
    covariance = special.spence(1 - np.minimum(np.abs(correlation) ** 2, 1)) / 4
    return float(2 * np.mean((1 - lags / duration) * covariance))


def _transform(power: Array, frequencies: Array, lags: Array) -> np.ndarray[Any, Any]:
    step = np.exp(2j * np.pi * (frequencies[1] - frequencies[0]) * lags)
    total = np.zeros(len(lags), dtype=complex)
    for weight in power[::-1]:
        total = total * step + weight
    return total


def _amplitudes(frequencies: Array, n_fft: int) -> Array:
    background = _background(frequencies)
    background[0] = 0
    share = _gamma_share(frequencies)
    inside = (frequencies >= BAND[0]) & (frequencies <= BAND[1])
    deviation = 2 / n_fft * np.linalg.norm(background[inside])
    return np.stack([background * (1 - share), background * share]) / deviation


def _background(frequencies: Array) -> Array:
    """Return the spectral amplitude of 1/f noise with a knee."""
    return 1 / np.sqrt(frequencies**2 + KNEE**2)


def _gamma_share(frequencies: Array) -> Array:
    """Return the share of the amplitude that the gain modulates: 1 in the band, 0 outside."""
    rise = np.clip((frequencies - _STOP[0]) / (_PASS[0] - _STOP[0]), 0, 1)
    fall = np.clip((_STOP[1] - frequencies) / (_STOP[1] - _PASS[1]), 0, 1)
    share: Array = np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2
    return share


def _line(n_samples: int, sampling_frequency: float, line_frequency: float) -> Array:
    harmonics = np.arange(1, _N_HARMONICS + 1)
    harmonics = harmonics[harmonics * line_frequency < sampling_frequency / 2]
    angle = 2 * np.pi * line_frequency * np.arange(n_samples) / sampling_frequency
    turned = np.outer(harmonics, angle)
    waves = np.concatenate([np.sin(turned), np.cos(turned)])
    line: Array = waves / np.tile(harmonics, 2)[:, None] ** 2
    return line
