import logging

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from hgcube.errors import CubeError, OptionError
from hgcube.schema import check, text_array
from hgcube.speech import voice_onsets
from tests.recordings import words

RATE = 16_000.0
DISPLAYS = (0.4, 3.4, 6.4, 9.4, 12.4, 15.4)
DELAYS = (0.43, 0.62, 0.31, 0.85, 1.2, 0.5)


def speech(
    onsets, *, rate=RATE, seconds=19.0, noise=0.003, size=0.5, dtype=np.float32, origin=0.0, seed=3
):
    """Syllables of noise with a soft attack, in a noise floor."""
    rng = np.random.default_rng(seed)
    sound = noise * rng.standard_normal(int(seconds * rate))
    clock = origin + np.arange(sound.size) / rate
    for onset in onsets:
        inside = (clock >= onset) & (clock < onset + 0.5)
        since = clock[inside] - onset
        shape = np.minimum(since / 0.01, 1) * (1 + np.sin(2 * np.pi * 4 * since)) / 2
        sound[inside] += size / 3 * shape * rng.standard_normal(inside.sum())
    sound = np.clip(sound, -1, 1)
    if np.dtype(dtype).kind == "i":
        sound = sound * np.iinfo(dtype).max
    time = ("audio_time", clock, {"sampling_frequency": rate})
    return xr.DataArray(sound.astype(dtype), dims="audio_time", coords={"audio_time": time})


def shown(displays=DISPLAYS):
    return words(onsets=displays, delay=None)


def spoken(delays=DELAYS):
    return np.add(DISPLAYS, delays)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
@pytest.mark.parametrize("rate", [48_000.0, 16_000.0, 11_025.0])
@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01])
def test_onsets_are_found_within_15_ms(dtype, rate, noise):
    audio = speech(spoken(), rate=rate, noise=noise, dtype=dtype)
    found = voice_onsets(shown(), audio)
    error = found.voice_onset.values - spoken()
    assert np.abs(error).max() < 0.015
    assert found.flag.values.tolist() == [""] * 6
    assert found.voice_onset.attrs["units"] == "s"
    check(found, "words", stored=True)


def test_loudness_and_scale_of_the_audio_do_not_matter():
    audio = speech(spoken())
    expected = voice_onsets(shown(), audio).voice_onset
    quiet = (audio / 4096).assign_coords(audio_time=audio.audio_time)
    np.testing.assert_array_equal(voice_onsets(shown(), quiet).voice_onset, expected)


def test_the_clock_of_the_audio_counts():
    audio = speech(spoken(), origin=-1.75, seconds=22.0)
    found = voice_onsets(shown(), audio)
    assert np.abs(found.voice_onset.values - spoken()).max() < 0.015


def test_silent_early_and_clipped_words_are_flagged_and_counted(caplog):
    onsets = spoken()
    audio = speech(onsets[:5]).astype(np.float64)
    early = 6.4 - 0.2
    audio += speech([early], noise=0.0, seed=4).values  # and the word itself, later
    loud = (audio.audio_time > onsets[4] + 0.02) & (audio.audio_time < onsets[4] + 0.1)
    audio = audio.where(~loud, 1.0 * np.sign(audio))
    audio[int(16.0 * RATE) : int(16.0 * RATE) + 40] = 1.0  # a click where nothing is said
    audio.audio_time.attrs["sampling_frequency"] = RATE
    with caplog.at_level(logging.WARNING, "hgcube"):
        found = voice_onsets(shown(), audio)
    assert found.flag.values.tolist() == ["", "", "early", "", "clipped", "silent"]
    assert np.isnan(found.voice_onset).values.tolist() == [False] * 5 + [True]
    assert found.voice_onset[2].item() == pytest.approx(early, abs=0.015)
    for name in ("silent", "early", "clipped"):
        assert f"1 of 6 words are {name}" in caplog.text


def test_nothing_but_noise_is_silent():
    found = voice_onsets(shown(), speech([], noise=0.01))
    assert np.isnan(found.voice_onset).all()
    assert set(found.flag.values.tolist()) == {"silent"}
    still = voice_onsets(shown(), speech([], noise=0.0))
    assert set(still.flag.values.tolist()) == {"silent"}


def test_words_beyond_the_audio_are_silent():
    displays = (-50.0, 0.4, 3.4, np.nan, 400.0)
    audio = speech(spoken()[:2])
    found = voice_onsets(shown(displays), audio)
    xr.testing.assert_identical(found, voice_onsets(shown(displays), audio.chunk(audio_time=9999)))
    assert found.flag.values.tolist() == ["silent", "", "", "silent", "silent"]
    assert np.abs(found.voice_onset.values[1:3] - spoken()[:2]).max() < 0.015


def test_flags_of_others_stay_and_a_second_call_changes_nothing():
    flagged = shown().assign_coords(flag=("word", text_array(["no vector", "", "", "", "", ""])))
    audio = speech(spoken()[1:])
    once = voice_onsets(flagged, audio)
    assert once.flag.values.tolist() == ["no vector;silent", "", "", "", "", ""]
    twice = voice_onsets(once, audio)
    xr.testing.assert_identical(once, twice)
    assert flagged.flag.values[0] == "no vector"


def test_only_stretches_around_words_are_loaded():
    audio = speech(spoken(), seconds=60.0)
    loaded = []

    def load(block, block_info=None):
        loaded.append(block_info[0]["array-location"][0])
        return block

    lazy = audio.copy(data=da.from_array(audio.values, chunks=16_000).map_blocks(load, dtype="f4"))
    with dask.config.set(scheduler="synchronous"):
        found = voice_onsets(shown(), lazy)
    xr.testing.assert_identical(found, voice_onsets(shown(), audio))
    assert len(loaded) == len(set(loaded))  # each block once
    assert max(stop for _, stop in loaded) <= 19 * RATE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": 1.0}, "threshold"),
        ({"minimum_duration": 0.0}, "minimum_duration"),
    ],
)
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        voice_onsets(shown(), speech(spoken()), **options)


def test_missing_coordinates_are_named():
    with pytest.raises(CubeError, match="'onset'"):
        voice_onsets(shown().drop_vars("onset"), speech(spoken()))
    audio = speech(spoken())
    audio.audio_time.attrs.clear()
    with pytest.raises(CubeError, match="sampling_frequency"):
        voice_onsets(shown(), audio)
