"""Mel spectrum and envelope of spoken words: against plain NumPy, and tones in their bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import voices
import xarray as xr

import hgcube
from hgcube.errors import OptionError, UnknownLabelError
from hgcube.kernels.mel import band_edges, log_mel

RATE = 16_000.0
RECORDING = voices.spoken(rate=RATE, dtype=np.float32)
WINDOWS = {"pooling": "windows", "lags": [-0.1, 0.5], "step": 0.1}


def made(family: str, recording: xr.Dataset = RECORDING, **options: Any) -> xr.DataArray:
    return hgcube.embed(recording["words"], family, audio=recording["audio"], **options)


def stretch(word: int, first: float, last: float) -> np.ndarray[Any, Any]:
    """Return the samples from `first` to `last` s after the word's voice."""
    onset = RECORDING["words"].voice_onset.values[word]
    begin, end = (round((onset + lag) * RATE) for lag in (first, last))
    return np.asarray(RECORDING["audio"].values[begin:end], dtype=np.float64)


def levels(sound: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the root mean square of 10 ms every 2 ms."""
    moving = sound - sound.mean()
    starts = range(0, len(sound) - 160 + 1, 32)
    return np.array([np.sqrt(np.mean(moving[start : start + 160] ** 2)) for start in starts])


def test_mel_is_the_mean_over_the_word() -> None:
    features = made("mel", duration=0.24)
    assert features.shape == (6, 23)
    assert features.dtype == np.float32
    for word in range(6):
        frames = log_mel(stretch(word, 0, 0.24), RATE, n_mels=23, window=800, step=160)
        assert len(frames) == features.n_frames[word] == 20
        np.testing.assert_allclose(features[word], frames.mean(axis=0), rtol=1e-5)
    assert np.ptp(features.values, axis=0).max() > 1
    np.testing.assert_allclose(features.frequency, band_edges(23, RATE)[1:-1])


def test_mel_of_the_whole_voice_lasts_as_long_as_it() -> None:
    seconds = np.array([voices.seconds_of(text) for text in voices.TEXTS])
    frames = made("mel").n_frames.values
    np.testing.assert_allclose(frames * 0.01 + 0.04, seconds, atol=0.025)


def test_windows_are_means_of_the_frames_around_each_lag() -> None:
    features = made("mel", n_mels=10, **WINDOWS)
    lags = np.round(np.arange(-0.1, 0.51, 0.1), 9)
    np.testing.assert_allclose(features.lag, np.repeat(lags, 10))
    np.testing.assert_allclose(features.frequency, np.tile(band_edges(10, RATE)[1:-1], 7))
    sound = stretch(3, -0.15, 0.55)
    frames = log_mel(sound, RATE, n_mels=10, window=800, step=160)
    centres = -0.15 + 0.025 + 0.01 * np.arange(len(frames))
    for place, lag in enumerate(lags):
        inside = (centres > lag - 0.05 - 1e-6) & (centres < lag + 0.05 - 1e-6)
        expected = frames[inside].mean(axis=0)
        assert inside.sum() in (7, 8, 10)
        np.testing.assert_allclose(features[3, 10 * place : 10 * place + 10], expected, rtol=1e-5)
    one = made("mel", n_mels=10, **{**WINDOWS, "pooling": "lag", "lag": 0.2})
    np.testing.assert_array_equal(one, features[:, features.lag == 0.2])
    assert one.lag.values.tolist() == [0.2] * 10


@pytest.mark.parametrize("band", [4, 12, 20])
def test_a_tone_is_loudest_in_its_own_band_and_at_its_own_lag(band: int) -> None:
    recording = voices.spoken(("boot", "huis"), rate=48_000.0)
    time = recording["audio"].audio_time.values
    tone = 0.3 * np.sin(2 * np.pi * band_edges(23, RATE)[band + 1] * time)
    onset = recording["words"].voice_onset.values[1]
    sounds = (time > onset + 0.25) & (time < onset + 0.35)
    recording["audio"] = recording["audio"].copy(data=np.where(sounds, tone, 0.0))
    features = made("mel", recording, **WINDOWS)
    assert features.flag.values.tolist() == ["silent", ""]
    loudest = features[1, features[1].argmax("feature")]
    assert loudest.frequency == pytest.approx(band_edges(23, RATE)[band + 1])
    assert loudest.lag == 0.3


def test_a_band_that_is_silent_in_all_words_is_constant() -> None:
    low = voices.spoken(dtype=np.float64)  # nothing above 4 kHz
    features = made("mel", low)
    silent = features.values[:, features.frequency > 5500]
    assert silent.shape[1] >= 3
    assert np.ptp(silent) == 0
    assert np.ptp(features.n_frames.values) > 5


def test_the_envelope_is_the_mean_level_around_each_lag() -> None:
    features = made("envelope", **WINDOWS)
    assert features.shape == (6, 7)
    for word in range(6):
        level = levels(stretch(word, -0.15, 0.55))
        assert len(level) == features.n_frames[word]
        centres = -0.15 + 0.005 + 0.002 * np.arange(len(level))
        for place, lag in enumerate(features.lag.values):
            inside = (centres > lag - 0.05 - 1e-6) & (centres < lag + 0.05 - 1e-6)
            np.testing.assert_allclose(features[word, place], level[inside].mean(), rtol=1e-5)
    assert features[:, 2].min() > 20 * features[:, 0].max()  # silence before the voice
    whole = made("envelope", pooling="mean", duration=0.24)
    np.testing.assert_allclose(whole[2, 0], levels(stretch(2, 0, 0.24)).mean(), rtol=1e-5)


@pytest.mark.parametrize("duration", [0.0503, 0.1, 0.3, 1.0, 1.1])
def test_every_duration_has_whole_frames(duration: float) -> None:
    for family in ("mel", "envelope"):
        assert np.isfinite(made(family, pooling="mean", duration=duration)).all()


def test_twice_as_loud() -> None:
    loud = RECORDING.assign(audio=RECORDING["audio"] * 2)
    loud["audio"].audio_time.attrs.update(RECORDING["audio"].audio_time.attrs)
    envelope, mel = made("envelope", **WINDOWS), made("mel", n_mels=8)
    np.testing.assert_allclose(made("envelope", loud, **WINDOWS), 2 * envelope, rtol=1e-5)
    np.testing.assert_allclose(
        made("mel", loud, n_mels=8)[:, :4] - mel[:, :4], np.log(4), rtol=1e-4
    )


@pytest.mark.parametrize("family", ["mel", "envelope"])
class TestBoth:
    def test_the_same_sound_is_the_same_vector_wherever_it_stands(self, family: str) -> None:
        there = voices.spoken(voices.TEXTS[::-1], rate=RATE, dtype=np.float32, start=5.0)
        here, back = made(family), made(family, there)[::-1]
        np.testing.assert_array_equal(here, back)
        np.testing.assert_array_equal(here[0], here[4])
        assert np.abs(here[0] - here[1]).max() > 1e-3

    def test_what_cannot_be_heard_is_flagged_and_the_rest_survive(self, family: str) -> None:
        onsets = RECORDING["words"].voice_onset.values.copy()
        onsets[1], onsets[5] = np.nan, 500.0
        words = RECORDING["words"].assign_coords(voice_onset=("word", onsets))
        features = hgcube.embed(words, family, audio=RECORDING["audio"])
        assert features.flag.values.tolist() == ["", "no voice", "", "", "", "outside the audio"]
        np.testing.assert_array_equal(features[[0, 2, 3, 4]], made(family)[[0, 2, 3, 4]])
        assert np.isnan(features[[1, 5]]).all()
        assert features.attrs["n_without_vector"] == 2

    def test_a_clipped_sound_has_a_vector_and_a_flag(self, family: str) -> None:
        clipped = RECORDING["audio"].copy(data=np.clip(RECORDING["audio"] * 40, -1, 1))
        features = hgcube.embed(RECORDING["words"], family, audio=clipped)
        assert set(features.flag.values.tolist()) == {"clipped"}
        assert np.isfinite(features).all()

    def test_all_options_that_change_it_are_said(self, family: str) -> None:
        changes: list[dict[str, Any]] = [
            {},
            {"lock": "display", "pooling": "mean"},
            {"pooling": "mean", "duration": 0.3},
            WINDOWS,
            {**WINDOWS, "step": 0.05},
            {**WINDOWS, "lags": [-0.1, 0.4]},
            {**WINDOWS, "pooling": "lag", "lag": 0.1},
            {**WINDOWS, "pooling": "lag", "lag": 0.2},
        ]
        if family == "mel":
            changes += [{"n_mels": 20}, {"window": 0.04}, {"frame_step": 0.02}]
        said = {str(sorted(made(family, **change).attrs.items())) for change in changes}
        assert len(said) == len(changes)

    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({"pooling": "median"}, UnknownLabelError, "median"),
            ({"lock": "lips"}, OptionError, "lips"),
            ({"duration": -1.0, "pooling": "mean"}, OptionError, "duration"),
            ({**WINDOWS, "step": 0.001}, OptionError, "Raise 'step'"),
        ],
    )
    def test_options_out_of_range_are_named(
        self, family: str, options: dict[str, Any], error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=says):
            made(family, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_mels": 0}, "n_mels=0"),
        ({"window": 0.0}, "window=0.0"),
        ({"frame_step": 0.0}, "frame_step=0.0"),
        ({"n_mels": 400}, "Lower n_mels"),
        ({"window": 0.005}, "lengthen 'window'"),
    ],
)
def test_bands_that_no_window_tells_apart_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        made("mel", **options)
