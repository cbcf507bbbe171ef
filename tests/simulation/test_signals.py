"""The arrays: what a gain does to the envelope, and how noisy an envelope is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft, signal

from hgcube.simulation import signals

RATE = 1024.0


def log_envelope(x, rate=RATE):
    """An independent plain chain: Butterworth 70-170 Hz zero phase, Hilbert, log."""
    band = signal.butter(4, [70, 170], btype="bandpass", fs=rate, output="sos")
    return np.log(np.abs(signal.hilbert(signal.sosfiltfilt(band, x))))


@pytest.fixture(scope="module")
def basis():
    return signals.make_basis(int(300 * RATE), RATE, 50.0)


@pytest.fixture(scope="module")
def noise(basis):
    rest = np.zeros(basis.n_samples)
    rng = np.random.default_rng(3)
    return [signals.neural_signal(basis, rest, rng) for _ in range(4)]


@pytest.mark.parametrize("duration", [0.05, 0.5])
def test_sampling_variance_of_the_log_envelope_is_as_derived(noise, duration):
    step = round(duration * RATE)
    means = [
        log_envelope(x)[2048:-2048][: 290_000 // step * step].reshape(-1, step).mean(1)
        for x in noise
    ]
    measured = np.mean([values.var() for values in means])
    n_values = sum(map(len, means))
    assert measured == pytest.approx(
        signals.envelope_variance(duration), rel=4 * np.sqrt(2 / n_values)
    )


def test_variance_of_one_instant_is_that_of_a_log_rayleigh():
    assert signals.envelope_variance(1e-6) == pytest.approx(np.pi**2 / 24, rel=1e-3)


def test_high_gamma_has_unit_deviation_and_the_spectrum_falls(noise):
    spectrum = np.fft.rfft(noise)[:, 70 * 300 : 170 * 300 + 1]
    deviation = np.sqrt(2 * (np.abs(spectrum) ** 2).sum(1)) / len(noise[0])
    assert deviation == pytest.approx(1, abs=0.03)
    frequencies, density = signal.welch(np.array(noise), RATE, nperseg=1024)
    slope = np.polyfit(np.log(frequencies[10:200]), np.log(density.mean(0)[10:200]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.05)


def test_a_log_gain_moves_the_mean_log_envelope_by_itself(basis):
    kernel, lead = signals.word_kernel(RATE)
    starts = np.arange(2, 290, 3) * int(RATE)
    sizes = np.random.default_rng(0).normal(0, 0.3, len(starts))
    log_gain = np.zeros(basis.n_samples)
    signals.add_locked(log_gain, kernel, lead, starts, sizes)
    with_gain, without = (
        log_envelope(signals.neural_signal(basis, gain, np.random.default_rng(1)))
        for gain in (log_gain, np.zeros(basis.n_samples))
    )
    window = starts[:, None] + np.arange(round(0.5 * RATE))
    moved = (with_gain - without)[window].mean(1)
    assert np.polyfit(sizes, moved, 1)[0] == pytest.approx(1, abs=0.02)
    assert np.corrcoef(sizes, moved)[0, 1] > 0.995
    late = (with_gain - without)[window + round(0.8 * RATE)].mean(1)
    assert np.abs(late).max() < 0.05


def test_locked_parts_outside_the_recording_are_cut():
    log_gain = np.zeros(10)
    signals.add_locked(log_gain, np.ones(4), 2, np.array([0, 9]), np.array([1.0, 2.0]))
    assert log_gain.tolist() == [1, 1, 0, 0, 0, 0, 0, 2, 2, 2]


def test_overlapping_responses_add_up():
    log_gain = np.zeros(5)
    signals.add_locked(log_gain, np.ones(3), 0, np.array([0, 1]), np.array([1.0, 2.0]))
    assert log_gain.tolist() == [1, 3, 3, 2, 0]


@pytest.mark.parametrize(("line_frequency", "harmonics"), [(50.0, 4), (60.0, 4), (150.0, 3)])
def test_line_noise_sits_at_the_harmonics_below_nyquist(line_frequency, harmonics):
    basis = signals.make_basis(2048, RATE, line_frequency)
    noise = signals.line_noise(basis, 3.0, np.random.default_rng(0))
    amplitude = 2 / 2048 * np.abs(np.fft.rfft(noise))
    for harmonic in range(1, harmonics + 1):
        peak = amplitude[round(harmonic * line_frequency * 2048 / RATE)]
        assert peak == pytest.approx(3.0 / harmonic**2, rel=1e-9)
    assert np.sum(amplitude > 1e-9) == harmonics


def test_slow_waves_have_unit_deviation_over_the_session_and_continue_over_runs():
    whole = signals.make_basis(4000, RATE, 50.0)
    halves = [signals.make_basis(2000, RATE, 50.0, span) for span in ((0, 0.5), (0.5, 1))]
    wave = signals.slow_wave(whole, np.random.default_rng(5))
    joined = np.concatenate([signals.slow_wave(b, np.random.default_rng(5)) for b in halves])
    assert wave.std() == pytest.approx(1, abs=0.01)
    assert np.abs(wave - joined).max() < 0.01
    power = fft.dct(wave, norm="ortho") ** 2
    assert power[1:4].sum() == pytest.approx(power.sum(), rel=1e-3)
