"""Resampling: tones where the theory puts them, nothing folded back, nothing from far away."""

import numpy as np
import pytest

from hgcube.kernels.resampling import margin, ratio, resampled

TARGET = 16_000.0
RATES = (48_000.0, 44_100.0, 32_000.0, 22_050.0, 11_025.0, 8_000.0, 48_000.7, 47_999.2, 96_000.0)


def tone(hertz, rate, seconds=0.5):
    return np.cos(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate + 0.3)


def of_whole(sound, rate):
    start = margin(rate, TARGET)
    return resampled(sound, start, len(sound) - start, rate=rate, target=TARGET), start / rate


@pytest.mark.parametrize("rate", [*RATES, TARGET])
def test_a_tone_is_the_same_tone_at_the_time_of_its_first_sample(rate):
    made, begin = of_whole(tone(3000, rate), rate)
    expected = np.cos(2 * np.pi * 3000 * (begin + np.arange(len(made)) / TARGET) + 0.3)
    # A ratio that is no small fraction is off by 5e-5 at most: 0.1 ms after 2 s.
    tolerance = 2e-3 if rate % 1 == 0 else 2 * np.pi * 3000 * 0.5 * 5e-5
    assert np.abs(made - expected).max() < tolerance
    assert made.dtype == np.float32
    assert np.abs(expected).max() > 0.9


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > 26_000])
def test_what_the_target_cannot_hold_is_gone_and_does_not_fold_back(rate):
    made, _ = of_whole(tone(12_000, rate), rate)
    assert np.abs(made).max() < 1e-3
    assert np.sqrt(np.mean(made**2)) < 1e-4


@pytest.mark.parametrize(("hertz", "survives"), [(7300, True), (8010, False)])
def test_the_filter_ends_at_the_lower_nyquist_frequency(hertz, survives):
    made, _ = of_whole(tone(hertz, 48_000.0), 48_000.0)
    assert np.sqrt(np.mean(made**2)) == pytest.approx(
        np.sqrt(0.5) if survives else 0.0, abs=2e-3 if survives else 1e-3
    )


@pytest.mark.parametrize("rate", RATES)
def test_samples_depend_on_the_stretch_and_its_margin_alone(rate, rng):
    sound = rng.standard_normal(round(rate * 0.8))
    start, stop = round(rate * 0.3), round(rate * 0.5)
    around = margin(rate, TARGET)
    first, last = max(start - around, 0), min(stop + around, len(sound))
    alone = resampled(sound[first:last], start - first, stop - first, rate=rate, target=TARGET)
    other = sound.copy()
    other[:first] += 5
    other[last:] *= -7
    np.testing.assert_array_equal(resampled(other, start, stop, rate=rate, target=TARGET), alone)
    other[start:stop] = 0
    assert np.abs(resampled(other, start, stop, rate=rate, target=TARGET) - alone).max() > 0.1
    assert len(alone) == pytest.approx((stop - start) * TARGET / rate, abs=1)


def test_what_is_not_there_is_silence(rng):
    sound = rng.standard_normal(4800)
    padded = np.concatenate([np.zeros(600), sound, np.zeros(600)])
    np.testing.assert_array_equal(
        resampled(sound, 0, 4800, rate=48_000, target=TARGET),
        resampled(padded, 600, 5400, rate=48_000, target=TARGET),
    )


@pytest.mark.parametrize("rate", RATES)
def test_ratios_are_close_and_margins_whole(rate):
    up, down = ratio(rate, TARGET)
    assert up / down == pytest.approx(TARGET / rate, rel=5e-5)
    assert margin(rate, TARGET) % down == 0
    assert margin(rate, TARGET) * up >= 64 * max(up, down)
