import numpy as np
import pytest

from hgcube.kernels import audio

RATE = 16_000.0


def test_level_is_the_root_mean_square(rng):
    sound = rng.standard_normal(8000) * 300 + 50
    level = audio.loudness(sound.astype(np.int16), RATE).level
    assert len(level) == int((0.5 - 0.01) / 0.002) + 1
    centred = sound.astype(np.int16) - sound.astype(np.int16).mean()
    for k in (0, 17, len(level) - 1):
        start = round(k * 0.002 * RATE)
        expected = np.sqrt(np.mean(centred[start : start + 160] ** 2))
        assert level[k] == pytest.approx(expected, rel=1e-9)


def test_too_short_a_stretch_has_no_level():
    for samples in (0, 1, 100):
        sound = audio.loudness(np.zeros(samples), RATE)
        assert sound.level.size == 0
        assert not sound.clipped


def test_clicks_are_no_voice_and_do_not_raise_the_threshold():
    level = np.full(1000, 1.0)
    level[300:340] = 20.0
    quiet = audio.voice_threshold(level, 0.1, 25, 0.0)
    level[100:105] = 1e6
    assert audio.voice_threshold(level, 0.1, 25, 0.0) == quiet
    assert audio.first_voice(level, quiet, 25, 0) == (300, False)


def test_no_voice_has_no_threshold():
    level = np.full(1000, 1.0)
    assert audio.voice_threshold(level, 0.1, 25, 0.0) == np.inf
    level[300:340] = 20.0
    assert audio.voice_threshold(level, 0.1, 25, faint=30.0) == np.inf
    assert audio.voice_threshold(level, 0.1, 60, faint=0.0) == np.inf
    assert audio.first_voice(level, np.inf, 25, 0) == (-1, False)


def test_a_voice_that_sounds_already_is_followed_back():
    level = np.zeros(1000)
    level[180:400] = 5.0
    assert audio.first_voice(level, 1.0, 25, 200) == (180, True)
    assert audio.first_voice(level, 1.0, 25, 100) == (180, False)
    level[:180] = 5.0
    assert audio.first_voice(level, 1.0, 25, 200) == (0, True)
    level[190:210] = 0.0  # a silence inside a word does not end it
    assert audio.first_voice(level, 1.0, 25, 200) == (0, True)
    level[500:600] = 5.0
    level[:400] = 0.0
    level[195:210] = 5.0  # too short to be a voice
    assert audio.first_voice(level, 1.0, 25, 200) == (500, False)


def test_a_voice_ends_after_its_last_syllable():
    level = np.zeros(1000)
    level[180:300] = 5.0
    level[320:400] = 5.0  # a silence inside a word does not end it
    level[600:700] = 5.0
    assert audio.voice_end(level, 1.0, 25, 180) == 400
    assert audio.voice_end(level, 1.0, 25, 100) == 400
    assert audio.voice_end(level, 1.0, 25, 401) == 700
    assert audio.voice_end(level, 1.0, 25, 701) == -1
    assert audio.voice_end(level[:650], 1.0, 25, 600) == 650
    level[430:435] = 5.0  # the burst of a last consonant
    assert audio.voice_end(level, 1.0, 25, 180) == 435
    level[490:495] = 5.0  # a click
    assert audio.voice_end(level, 1.0, 25, 180) == 435
    assert audio.voice_end(level, 1.0, 25, 440) == 700


@pytest.mark.parametrize(
    ("sound", "clipped"),
    [
        (np.array([0, 32767, 32767, 32767, 5] * 99, dtype=np.int16), True),
        (np.array([0, -32768, -32768, -32768, 5] * 99, dtype=np.int16), True),
        (np.array([0, 20000, 20000, 20000, 5] * 99, dtype=np.int16), False),
        (np.array([0, 1, 1, 1, 0.1] * 99), True),
        (np.array([0, 0.6, 0.6, 0.6, 0.1] * 99), False),
        (np.array([0, 1, 0.5, 1, 0.1] * 99), False),
        (np.array([0.0, 32767, 32767, 32767, 5] * 99), True),
        (np.zeros(500), False),
    ],
)
def test_clipping_is_full_scale_for_several_samples(sound, clipped):
    assert audio.loudness(sound, RATE).clipped is clipped
