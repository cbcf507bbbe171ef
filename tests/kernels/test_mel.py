"""Mel energies against loops over bands and bins."""

import numpy as np
import pytest

from hgcube.kernels.mel import FLOOR, band_edges, log_mel, mel_filters

RATE = 16_000.0


def oracle(sound, n_mels, window, step):
    """Return log energies by the definition: windows, Fourier sums, triangles, one at a time."""
    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), n_mels + 2)
    edges = [700 * (10 ** (mel / 2595) - 1) for mel in mels]
    shape = np.array([0.5 - 0.5 * np.cos(2 * np.pi * i / window) for i in range(window)])
    rows = []
    for start in range(0, len(sound) - window + 1, step):
        weighed = sound[start : start + window] * shape
        energies = np.zeros(n_mels)
        for k in range(window // 2 + 1):
            turns = np.exp(-2j * np.pi * k * np.arange(window) / window)
            power = np.abs(np.sum(weighed * turns)) ** 2 / shape.sum() ** 2
            hertz = k * RATE / window
            for band in range(n_mels):
                low, centre, high = edges[band : band + 3]
                if low < hertz <= centre:
                    energies[band] += power * (hertz - low) / (centre - low)
                elif centre < hertz < high:
                    energies[band] += power * (high - hertz) / (high - centre)
        rows.append(np.log(np.maximum(energies, FLOOR)))
    return np.array(rows)


def test_log_mel_equals_its_definition(rng):
    sound = rng.standard_normal(900) * 0.1
    made = log_mel(sound, RATE, n_mels=6, window=300, step=100)
    expected = oracle(sound, 6, 300, 100)
    assert made.shape == (7, 6)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(made, expected, rtol=1e-9)


def test_a_tone_is_loudest_in_its_band():
    centres = band_edges(23, RATE)[1:-1]
    for band in (3, 11, 20):
        sound = np.sin(2 * np.pi * centres[band] * np.arange(1600) / RATE)
        made = log_mel(sound, RATE, n_mels=23, window=800, step=160)
        assert (made.argmax(axis=1) == band).all()


def test_twice_as_loud_is_ln_4_more_and_silence_is_the_floor(rng):
    sound = rng.standard_normal(1600)
    quiet, loud = (log_mel(sound * gain, RATE, n_mels=23, window=800, step=160) for gain in (1, 2))
    np.testing.assert_allclose(loud - quiet, np.log(4), rtol=1e-9)
    silent = log_mel(np.zeros(800), RATE, n_mels=23, window=800, step=160)
    np.testing.assert_array_equal(silent, np.full((1, 23), np.log(FLOOR)))


def test_bands_share_what_lies_between_their_centres():
    filters, edges = mel_filters(10, 1024, RATE), band_edges(10, RATE)
    inside = (np.fft.rfftfreq(1024, 1 / RATE) >= edges[1]) & (
        np.fft.rfftfreq(1024, 1 / RATE) <= edges[-2]
    )
    np.testing.assert_allclose(filters.sum(axis=0)[inside], 1.0)
    assert (edges[0], edges[-1]) == (0, pytest.approx(8000))


def test_a_sound_shorter_than_a_window_has_no_frames():
    assert log_mel(np.zeros(799), RATE, n_mels=23, window=800, step=160).shape == (0, 23)
