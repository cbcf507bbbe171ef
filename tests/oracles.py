"""Slow, plain and independent: what the fast code is tested against."""

from __future__ import annotations

import numpy as np
import scipy.fftpack
import scipy.signal


def authors_envelope(samples, sampling_frequency, *, line_stops=((98, 102), (148, 152))):
    """Envelope as in the data-set authors' feature script; samples (time, electrodes)."""
    nyquist = sampling_frequency / 2
    samples = scipy.signal.detrend(samples, axis=0)
    for edges, kind in (((70, 170), "bandpass"), *((edges, "bandstop") for edges in line_stops)):
        sections = scipy.signal.iirfilter(
            4, [edges[0] / nyquist, edges[1] / nyquist], btype=kind, output="sos"
        )
        samples = scipy.signal.sosfiltfilt(sections, samples, axis=0)
    length = scipy.fftpack.next_fast_len(len(samples))
    return np.abs(scipy.signal.hilbert(samples, length, axis=0)[: len(samples)])


def authors_high_gamma(samples, sampling_frequency, *, window=0.05, step=0.01, **stops):
    """High gamma as in the data-set authors' feature script; (windows, electrodes)."""
    amplitude = authors_envelope(samples, sampling_frequency, **stops)
    n_windows = int(
        np.floor((len(samples) - window * sampling_frequency) / (step * sampling_frequency))
    )
    power = np.zeros((n_windows, samples.shape[1]))
    for position in range(n_windows):
        start = int(np.floor((position * step) * sampling_frequency))
        stop = int(np.floor(start + window * sampling_frequency))
        power[position] = np.mean(amplitude[start:stop], axis=0)
    return power


def locked_means(power, seconds, onsets, lags, step):
    """Mean of power (electrodes, time) within step/2 of onset + lag, the end excluded, in loops."""
    means = np.full((len(onsets), len(power), len(lags)), np.nan)
    for i, onset in enumerate(onsets):
        for j, lag in enumerate(lags):
            relative = seconds - onset - lag
            inside = (relative >= -step / 2 - 1e-9) & (relative < step / 2 - 1e-9)
            if inside.any():
                means[i, :, j] = power[:, inside].mean(axis=1)
    return means
