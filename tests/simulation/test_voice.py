"""A synthetic word: duration by letters, a fundamental in the voice's band, hiss and hum."""

from __future__ import annotations

import numpy as np
import pytest

from hgcube.simulation.voice import band_of_audio, speak, spoken_duration


@pytest.mark.parametrize("rate", [48_000.0, 8_000.0, 2_000.0])
@pytest.mark.parametrize("text", ["boot", "s", "aardappel", "fiets"])
def test_a_word_lasts_as_asked_and_has_unit_power(rng, text, rate):
    sound = speak(text, 0.4, 110.0, rate, rng)
    assert len(sound) == round(0.4 * rate)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1)
    assert np.isfinite(sound).all()


def test_more_letters_take_longer():
    assert spoken_duration("aardappel") > 2 * spoken_duration("ei") > 0
    assert spoken_duration("ei", 1.5) == pytest.approx(1.5 * spoken_duration("ei"))


@pytest.mark.parametrize("pitch", [95.0, 120.0, 135.0])
def test_a_vowel_has_its_fundamental_and_a_hiss_has_none(rng, pitch):
    def power_near_pitch(text):
        sound = speak(text, 0.5, pitch, 16_000.0, rng)
        spectrum = np.abs(np.fft.rfft(sound)) ** 2
        frequencies = np.fft.rfftfreq(len(sound), 1 / 16_000)
        near = (frequencies > 0.85 * pitch) & (frequencies < 1.05 * pitch)
        return spectrum[near].sum() / spectrum.sum()

    assert power_near_pitch("aa") > 0.02
    assert power_near_pitch("ss") < 0.005


def test_band_of_audio_keeps_the_band_only():
    seconds = np.arange(8000) / 8000
    inside, outside = (np.sin(2 * np.pi * f * seconds) for f in (100.0, 400.0))
    kept = band_of_audio(inside + outside, 8000.0, (70.0, 170.0), margin=0.1)
    assert len(kept) == 8000 + 2 * 800
    assert kept[800 + 2000 : 800 + 6000] == pytest.approx(inside[2000:6000], abs=0.02)
