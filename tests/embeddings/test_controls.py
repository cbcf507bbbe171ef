"""Controls: every word another word's vector, and the same words from another mouth."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import voices
import xarray as xr
from scipy.io import wavfile

import hgcube
from hgcube.embeddings import embed_layers, embedder
from hgcube.embeddings.controls import derangement
from hgcube.errors import CubeError, OptionError, SourceError, UnknownLabelError
from hgcube.schema import text_array

TOY = {"family": "random", "n_features": 4, "space": "toy"}
MEL = {"family": "mel", "n_mels": 10, "space": "sound"}


def words_of(*texts: str) -> xr.DataArray:
    return xr.DataArray(text_array(texts), dims="word", coords={"word": np.arange(len(texts))})


class TestDerangement:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("texts", ["ab", "abc", "aabb", "aabbc", "abcdefgh", "aaabbcd" * 3])
    def test_nobody_gets_an_equal_text(self, texts: str, seed: int) -> None:
        given = derangement(list(texts), seed)
        assert sorted(given) == list(range(len(texts)))
        assert all(texts[one] != texts[other] for one, other in enumerate(given))

    def test_where_one_text_is_most_of_them_as_few_as_can_be_get_it(self) -> None:
        texts = "aaaaabc"
        given = derangement(list(texts), 0)
        assert sorted(given) == list(range(len(texts)))
        assert all(place != other for place, other in enumerate(given))
        alike = sum(texts[one] == texts[other] for one, other in enumerate(given))
        assert alike == 5 - 2

    def test_the_seed_decides_and_all_are_as_likely(self) -> None:
        texts = list("abcdef")
        assert derangement(texts, 3) == derangement(texts, 3)
        first = Counter(derangement(texts, seed)[0] for seed in range(1000))
        assert set(first) == {1, 2, 3, 4, 5}
        assert all(150 < count < 250 for count in first.values())

    def test_the_order_of_the_words_does_not(self) -> None:
        texts = list("abcdef")
        shuffled = list("fbdace")
        here, there = derangement(texts, 3), derangement(shuffled, 3)
        given = {texts[one]: texts[other] for one, other in enumerate(here)}
        assert given == {shuffled[one]: shuffled[other] for one, other in enumerate(there)}


class TestMismatched:
    def test_vectors_are_the_same_ones_at_other_words(self) -> None:
        words = words_of("boot", "huis", "fiets", "boot", "tuin")
        own = hgcube.embed(words, "random", n_features=4).values
        features = hgcube.embed(words, "mismatched", of=TOY, seed=2)
        assert sorted(map(tuple, features.values)) == sorted(map(tuple, own))
        assert all(np.abs(features.values - own).max(axis=1) > 1e-3)
        assert features.dtype == np.float32
        other = hgcube.embed(words, "mismatched", of=TOY, seed=3)
        assert np.abs(features - other).max() > 1e-3

    def test_a_cube_says_what_was_done(self) -> None:
        features = hgcube.embed(words_of("boot", "huis"), "mismatched", of=TOY, seed=2)
        assert features.control_of.item() == "toy"
        assert features.embedding.item() == "mismatched"
        assert features.attrs["model"] == "random normal of 4 features, seed 0"
        assert "another word, seed 2" in features.attrs["control"]

    def test_a_word_without_its_own_keeps_its_flag(self) -> None:
        features = hgcube.embed(words_of("boot", "", "huis", "?"), "mismatched", of=TOY)
        assert features.flag.values.tolist() == ["", "empty", "", "empty"]
        own = hgcube.embed(words_of("boot", "huis"), "random", n_features=4)
        np.testing.assert_array_equal(features[[0, 2]], own[::-1])

    @pytest.mark.parametrize("texts", [("boot",), ("boot", "boot"), ("boot", "")])
    def test_fewer_than_two_words_cannot_be_exchanged(self, texts: tuple[str, ...]) -> None:
        with pytest.raises(CubeError, match=r"two or more.* Got 1 among"):
            hgcube.embed(words_of(*texts), "mismatched", of=TOY)

    def test_it_hears_and_has_the_layers_and_files_of_the_other(self, tmp_path: Path) -> None:
        table = tmp_path / "table.csv"
        table.write_text("boot,1\nhuis,100\n")
        of = {"family": "frequency", "table": table}
        assert embedder("mismatched", of=of).files() == (table,)
        features = hgcube.embed(words_of("boot", "huis"), "mismatched", of=of)
        np.testing.assert_allclose(features[:, 0], [2, 0])
        assert features.control_of.item() == "frequency"
        spoken = voices.spoken()
        with pytest.raises(OptionError, match="audio"):
            hgcube.embed(spoken["words"], "mismatched", of=MEL)
        heard = hgcube.embed(spoken["words"], "mismatched", of=MEL, audio=spoken["audio"])
        assert heard.frequency.size == 10

    def test_vectors_of_the_other_are_not_made_again(self, tmp_path: Path) -> None:
        words = words_of("boot", "huis", "fiets")
        hgcube.embed(words, "random", n_features=4, cache=tmp_path)
        (shelf,) = tmp_path.iterdir()
        before = {path: path.read_bytes() for path in shelf.iterdir()}
        kept = hgcube.embed(words, "mismatched", of=TOY, cache=tmp_path)
        assert {path: path.read_bytes() for path in shelf.iterdir()} == before
        assert len(before) == 3
        xr.testing.assert_identical(kept, hgcube.embed(words, "mismatched", of=TOY))

    @pytest.mark.parametrize(
        ("of", "error", "says"),
        [
            ({"family": "fastext"}, UnknownLabelError, "fasttext"),
            ({"n_features": 3}, OptionError, "'family'"),
            ("toy", OptionError, "'family'"),
            ({"family": "random", "n_feature": 3}, OptionError, "n_features"),
        ],
    )
    def test_what_is_no_embedding_is_named(
        self, of: Any, error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=says):
            hgcube.embed(words_of("boot", "huis"), "mismatched", of=of)


def wav(folder: Path, text: str, *, rate: int = 22_050, dtype: Any = np.int16) -> Path:
    sound = voices.sound_of(text, rate, pitch=200.0)
    path = folder / f"{text}.wav"
    if np.dtype(dtype) == np.uint8:
        wavfile.write(path, rate, np.round(sound * 127 + 128).astype(np.uint8))
    elif np.dtype(dtype).kind == "i":
        wavfile.write(path, rate, np.round(sound * np.iinfo(dtype).max).astype(dtype))
    else:
        wavfile.write(path, rate, sound.astype(dtype))
    return path


def spoken_by(pitch: float, texts: tuple[str, ...] = voices.TEXTS, **options: Any) -> xr.Dataset:
    return voices.spoken(texts, pitch=pitch, **options).assign_attrs(recording=f"{pitch:g} Hz")


class TestSoundsOfAFolder:
    @pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
    def test_they_are_heard_as_in_a_recording(self, tmp_path: Path, rate: int, dtype: Any) -> None:
        words = words_of("boot", "huis")
        for text in ("boot", "huis"):
            wav(tmp_path, text, rate=rate, dtype=dtype)
        of = {**MEL, "pooling": "windows", "lags": [0.0, 0.2], "step": 0.1}
        features = hgcube.embed(words, "another_speaker", of=of, sounds=tmp_path)
        there = spoken_by(200.0, ("boot", "huis"))
        options = {name: of[name] for name in ("n_mels", "pooling", "lags", "step")}
        expected = hgcube.embed(there["words"], "mel", audio=there["audio"], **options)
        # The voice is located anew, a little into its rise.
        low = features.frequency.values < 3000
        np.testing.assert_allclose(features[:, low], expected[:, low], atol=0.8)
        assert np.ptp(expected.values[:, low]) > 3
        assert features.control_of.item() == "sound"

    def test_each_is_its_own_word_and_the_own_sound_is_not_heard(self, tmp_path: Path) -> None:
        for text in set(voices.TEXTS):
            wav(tmp_path, text)
        own = spoken_by(110.0)
        given = {"of": MEL, "sounds": tmp_path}
        features = hgcube.embed(own["words"], "another_speaker", audio=own["audio"], **given)
        xr.testing.assert_identical(
            features, hgcube.embed(own["words"], "another_speaker", **given)
        )
        np.testing.assert_array_equal(features[0], features[4])
        shuffled = hgcube.embed(own["words"][::-1], "another_speaker", **given)
        np.testing.assert_array_equal(shuffled[::-1], features)
        plain = hgcube.embed(own["words"], "mel", audio=own["audio"], n_mels=10)
        assert np.abs(features - plain).max(axis=1).min() > 0.1

    def test_what_cannot_be_heard_is_flagged_and_the_rest_survive(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        boot = wav(tmp_path, "boot")
        rate, sound = wavfile.read(boot)
        wavfile.write(tmp_path / "stereo.wav", rate, np.stack([sound, sound], axis=1))
        wavfile.write(tmp_path / "low.wav", 4000, sound)
        wavfile.write(tmp_path / "silent.wav", rate, np.zeros(9000, np.int16))
        (tmp_path / "cut.wav").write_bytes(boot.read_bytes()[:30])
        (tmp_path / "text.wav").write_text("no sound")
        (tmp_path / "nothing.wav").write_bytes(b"")
        (tmp_path / "notes.txt").write_text("not looked at")
        texts = ("boot", "stereo", "low", "silent", "cut", "text", "nothing", "notes", "BOOT")
        with caplog.at_level(logging.WARNING, logger="hgcube"):
            features = hgcube.embed(words_of(*texts), "another_speaker", of=MEL, sounds=tmp_path)
        assert features.flag.values.tolist() == [
            "",
            "stereo",
            "low rate",
            "no voice",
            *["no sound file"] * 3,
            "not said by the other speaker",
            "",
        ]
        np.testing.assert_array_equal(features[0], features[-1])
        assert np.isfinite(features[0]).all()
        assert np.isnan(features[1:-1]).all()
        for name in ("stereo.wav", "low.wav", "cut.wav", "text.wav", "nothing.wav"):
            assert f"{name} is not heard: " in caplog.text

    def test_letters_written_as_two_characters_are_found(self, tmp_path: Path) -> None:
        wav(tmp_path, "e\u0301e\u0301n")
        features = hgcube.embed(
            words_of("\u00e9\u00e9n"), "another_speaker", of=MEL, sounds=tmp_path
        )
        assert features.flag.item() == ""

    def test_files_and_what_was_done_are_said(self, tmp_path: Path) -> None:
        family = embedder("another_speaker", of=MEL, sounds=tmp_path)
        (tmp_path / "notes.txt").write_text("not looked at")
        path = wav(tmp_path, "boot")
        assert family.files() == (path,)
        assert tmp_path.name in family.provenance()["control"]
        assert "10 triangular bands" in family.provenance()["model"]

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        for path in (tmp_path / "absent", wav(tmp_path, "boot")):
            with pytest.raises(SourceError, match=f"no folder {path}"):
                embedder("another_speaker", of=MEL, sounds=path)


class TestAnotherRecording:
    def test_the_same_words_are_heard_from_it(self) -> None:
        own, other = spoken_by(110.0), spoken_by(200.0, voices.TEXTS[::-1])
        features = hgcube.embed(own["words"], "another_speaker", of=MEL, speaker=other)
        expected = hgcube.embed(other["words"], "mel", audio=other["audio"], n_mels=10)
        np.testing.assert_array_equal(features, expected[::-1])
        assert features.attrs["control"] == "the same words as heard in the recording 200 Hz"
        assert (features.control_of.item(), features.text.values.tolist()) == (
            "sound",
            list(voices.TEXTS),
        )

    def test_words_that_it_lacks_are_flagged_and_the_rest_survive(self) -> None:
        own = spoken_by(110.0)
        other = spoken_by(200.0, ("boot", "maan", "tuin"))
        features = hgcube.embed(own["words"], "another_speaker", of=MEL, speaker=other)
        lacks = "not said by the other speaker"
        assert features.flag.values.tolist() == ["", lacks, lacks, lacks, "", ""]
        assert np.isfinite(features[[0, 4, 5]]).all()

    def test_the_first_that_can_be_heard_is_taken(self) -> None:
        other = spoken_by(200.0, ("huis", "boot", "huis", "huis"))
        onsets = other["words"].voice_onset.values.copy()
        onsets[0] = np.nan
        other["words"] = other["words"].assign_coords(voice_onset=("word", onsets))
        loud = other["audio"].values.copy()
        loud[7 * 48_000 :] //= 2
        other["audio"] = other["audio"].copy(data=loud)
        features = hgcube.embed(words_of("huis"), "another_speaker", of=MEL, speaker=other)
        expected = hgcube.embed(other["words"], "mel", audio=other["audio"], n_mels=10)
        np.testing.assert_array_equal(features[0], expected[2])
        assert np.abs(expected[2] - expected[3]).max() > 0.5

    def test_its_voices_end_where_they_do_with_all_its_words(self) -> None:
        other = spoken_by(200.0, ("boot", "huis"))
        hum = 2000 * np.sin(np.arange(other["audio"].size) / 30) * (other["audio"].audio_time > 1.3)
        other["audio"] = other["audio"].copy(data=hum.values.astype(np.int16))
        features = hgcube.embed(words_of("boot"), "another_speaker", of=MEL, speaker=other)
        expected = hgcube.embed(other["words"], "mel", audio=other["audio"], n_mels=10)
        assert features.n_frames[0] == expected.n_frames[0]

    def test_the_own_recording_is_no_other_speaker(self) -> None:
        own, alike = spoken_by(110.0), spoken_by(200.0)
        assert own["words"].equals(alike["words"])
        for speaker, flag in ((own, "the same speaker"), (alike, "")):
            features = hgcube.embed(
                own["words"], "another_speaker", of=MEL, audio=own["audio"], speaker=speaker
            )
            assert set(features.flag.values.tolist()) == {flag}
            assert np.isnan(features).all() == bool(flag)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({}, "neither"),
            ({"sounds": ".", "speaker": spoken_by(200.0)}, "both"),
            ({"speaker": "02"}, "'02'"),
            ({"speaker": spoken_by(200.0).drop_vars("audio")}, "'words' and 'audio'"),
        ],
    )
    def test_who_is_heard_must_be_said_once(self, options: dict[str, Any], says: str) -> None:
        with pytest.raises(OptionError, match=says):
            hgcube.embed(words_of("boot"), "another_speaker", of=MEL, **options)

    def test_only_what_hears_is_controlled(self) -> None:
        with pytest.raises(OptionError, match="'random'"):
            embedder("another_speaker", of=TOY, speaker=spoken_by(200.0))


@pytest.mark.shared
def test_a_real_model_hears_another_speaker(shared_folder: Path, tmp_path: Path) -> None:
    of = {"family": "speech_model", "model": shared_folder / "models" / "w2v2-digits-tiny"}
    own = spoken_by(110.0)
    for text in set(voices.TEXTS) - {"tuin"}:
        wav(tmp_path, text)
    options = {"of": {**of, "space": "w2v2", "layers": "all"}, "sounds": tmp_path}
    made = embed_layers(own["words"], "another_speaker", **options)
    plain = embed_layers(
        own["words"], "speech_model", audio=own["audio"], model=of["model"], layers="all"
    )
    assert len(made) == len(plain) == 4
    for one, other in zip(made.values(), plain.values(), strict=True):
        assert one.flag.values.tolist() == [*[""] * 5, "not said by the other speaker"]
        assert one.control_of.item() == "w2v2"
        assert np.abs(one[:5] - other[:5]).max(axis=1).min() > 1e-3
