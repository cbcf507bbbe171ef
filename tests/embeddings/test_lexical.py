"""Duration, letters and phonemes, frequency, position: counted by hand, broken tables named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import voices
import xarray as xr

import hgcube
from hgcube.errors import CubeError, OptionError, SourceError
from hgcube.schema import text_array


def words_of(*texts: str, **coords: Any) -> xr.DataArray:
    named = {name: ("word", each) for name, each in coords.items()}
    return xr.DataArray(
        text_array(texts), dims="word", coords={"word": np.arange(len(texts)), **named}
    )


def written(folder: Path, content: str | bytes, name: str = "table.tsv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class TestDuration:
    def test_the_spoken_one_is_that_of_the_voice(self) -> None:
        spoken = voices.spoken()
        features = hgcube.embed(spoken["words"], "duration", audio=spoken["audio"])
        expected = [voices.seconds_of(text) for text in voices.TEXTS]
        assert np.ptp(expected) > 0.2
        np.testing.assert_allclose(features[:, 0], expected, atol=0.012)
        assert features.dtype == np.float32
        assert features[0] == features[4]  # said twice
        assert features.quantity.values.tolist() == ["duration"]
        assert "voice" in features.attrs["model"]

    def test_a_word_without_voice_is_flagged_and_the_rest_survive(self) -> None:
        spoken = voices.spoken()
        onsets = spoken["words"].voice_onset.values.copy()
        onsets[1] = np.nan
        words = spoken["words"].assign_coords(voice_onset=("word", onsets))
        features = hgcube.embed(words, "duration", audio=spoken["audio"])
        assert features.flag.values.tolist() == ["", "no voice", "", "", "", ""]
        whole = hgcube.embed(spoken["words"], "duration", audio=spoken["audio"])
        assert np.isnan(features[1]).all()
        np.testing.assert_array_equal(features[[0, 2, 3, 4, 5]], whole[[0, 2, 3, 4, 5]])

    def test_the_displayed_one_needs_no_audio(self) -> None:
        words = words_of("a", "b", "c", duration=[1.0, np.nan, 2.0])
        features = hgcube.embed(words, "duration", lock="display")
        np.testing.assert_array_equal(features[:, 0], [1.0, np.nan, 2.0])
        assert features.flag.values.tolist() == ["", "no duration", ""]
        assert "display" in features.attrs["model"]

    @pytest.mark.parametrize("seconds", [[2.0, 2.0, 2.0], [2.0, 1.9990234375, np.nan]])
    def test_displays_that_last_equally_long_say_nothing(self, seconds: list[float]) -> None:
        with pytest.raises(CubeError, match="says nothing of the words"):
            hgcube.embed(words_of("a", "b", "c", duration=seconds), "duration", lock="display")

    def test_wrong_input_is_named(self) -> None:
        with pytest.raises(OptionError, match="'lips'"):
            hgcube.embed(words_of("a"), "duration", lock="lips")
        with pytest.raises(CubeError, match="'duration'"):
            hgcube.embed(words_of("a"), "duration", lock="display")
        with pytest.raises(OptionError, match="audio"):
            hgcube.embed(words_of("a"), "duration")


class TestLetters:
    def test_they_are_counted_without_marks(self) -> None:
        words = words_of("boot", "één", "e\u0301e\u0301n", "auto's", "", "4x4")
        features = hgcube.embed(words, "letters")
        np.testing.assert_array_equal(features[:, 0], [4, 3, 3, 5, np.nan, 3])
        assert features.flag.values.tolist() == ["", "", "", "", "empty", ""]

    def test_a_lexicon_adds_phonemes(self, tmp_path: Path) -> None:
        lexicon = written(tmp_path, "Boot\tb o: t\nschip\ts x I p\nboot\tb o\n")
        words = words_of("boot", "SCHIP", "wolk")
        features = hgcube.embed(words, "letters", lexicon=lexicon)
        np.testing.assert_array_equal(features, [[4, 3], [5, 4], [np.nan, np.nan]])
        assert features.quantity.values.tolist() == ["letters", "phonemes"]
        assert features.flag.values.tolist() == ["", "", "unknown"]
        assert features.in_vocabulary.values.tolist() == [True, True, False]
        assert features.attrs["lexicon"] == "table.tsv"

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("boot\tb o: t\nschip\n", "one column in line 2"),
            ("boot\tb o: t\nschip\t \n", "one column in line 2"),
            ("boot\t0.9\tb o: t\n", "3 columns in line 1"),
            ("boot\tbot\nhuis\thœys\n", "no word of two phonemes"),
            ("", "no word of two phonemes"),
            ("boot\tb o: t\n".encode("utf-16"), "utf-8"),
            ('boot\tb o: t\n"schip\ts x\n', "unexpected end"),
        ],
    )
    def test_a_broken_lexicon_is_named(
        self, tmp_path: Path, content: str | bytes, says: str
    ) -> None:
        lexicon = written(tmp_path, content)
        with pytest.raises(SourceError, match=f"table.tsv: .*{says}"):
            hgcube.embed(words_of("boot"), "letters", lexicon=lexicon)


class TestFrequency:
    @pytest.mark.parametrize(
        "content",
        [
            "word\tcount\textra\nboot\t100\tx\nHuis\t900\tx\nhuis\t100\tx\nwolk\t0\tx\n",
            "boot,100\nHuis,900\nhuis,100\nwolk,0\n",
            "\ufeffword;count\r\nboot;1e2\r\n\r\nHuis;900\r\nhuis;100\r\nwolk;0\r\n",
            '"boot","100"\n"Huis","900"\n"huis","100"\n"wolk","0"\n',
        ],
        ids=["tsv", "csv", "semicolons", "quoted"],
    )
    def test_it_is_the_logarithm_of_the_sum(self, tmp_path: Path, content: str) -> None:
        words = words_of("boot", "HUIS", "wolk", "maan", "?")
        table = written(tmp_path, content)
        features = hgcube.embed(words, "frequency", table=table, trained_on="subtitles")
        np.testing.assert_allclose(features[:2, 0], [2, 3], rtol=1e-6)
        assert np.isnan(features[2:]).all()
        assert features.flag.values.tolist() == ["", "", "unknown", "unknown", "empty"]
        assert features.in_vocabulary.values.tolist() == [True, True, False, False, False]
        assert (features.attrs["model"], features.attrs["trained_on"]) == (
            "table.tsv",
            "subtitles",
        )
        assert "case does not matter" in features.attrs["rule"]

    def test_a_table_that_changes_is_read_again(self, tmp_path: Path) -> None:
        table = written(tmp_path, "boot,10\n")
        assert hgcube.embed(words_of("boot"), "frequency", table=table).item() == 1
        table = written(tmp_path, "boot,1000\n")
        assert hgcube.embed(words_of("boot"), "frequency", table=table).item() == 3

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "no word"),
            ("word,count\n", "no word"),
            ("boot\nhuis\n", "one column in line 1"),
            ("boot,1\nhuis,\n", "one column in line 2"),
            ("boot,1\nhuis,many\n", "'many' in line 2"),
            ("boot,1\nhuis,-3\n", "'-3' in line 2"),
            ("boot,1\nhuis,nan\n", "'nan' in line 2"),
            ("boot;1\nhuis;3,5\n", "'3,5' in line 2"),
            ("één,1\n".encode("latin-1"), "utf-8"),
            (b"boot,1\n\0\0", "one column in line 2"),
        ],
    )
    def test_a_broken_table_is_named(self, tmp_path: Path, content: str | bytes, says: str) -> None:
        table = written(tmp_path, content)
        with pytest.raises(SourceError, match=f"table.tsv: .*{says}"):
            hgcube.embed(words_of("boot"), "frequency", table=table)

    def test_an_absent_table_is_named(self, tmp_path: Path) -> None:
        for family, option in (("frequency", "table"), ("letters", "lexicon")):
            for path in (tmp_path / "absent.tsv", tmp_path):
                with pytest.raises(SourceError, match=f"no file {path}"):
                    hgcube.embed(words_of("boot"), family, **{option: path})


class TestOrder:
    def test_positions_count_within_each_recording_by_onset(self) -> None:
        words = words_of(
            *"abcdef",
            onset=[5.0, 1.0, 3.0, 2.0, 0.0, 9.0],
            run=text_array(["1", "2", "1", "2", "1", "2"]),
        )
        features = hgcube.embed(words, "order")
        thirds = np.array([2, 0, 1, 1, 0, 2])
        np.testing.assert_allclose(features[:, 0], (2 * thirds - 2) / 3, atol=1e-7)

    def test_cosines_are_those_of_the_reference(self) -> None:
        features = hgcube.embed(words_of(*"abcdefgh"), "order", terms=3)
        middles = (np.arange(8) + 0.5) / 8
        np.testing.assert_allclose(features[:, 0], 2 * middles - 1, atol=1e-7)
        for term in (1, 2, 3):
            expected = np.cos(np.pi * term * middles)
            np.testing.assert_allclose(features[:, term], expected, atol=1e-6)
        assert features.quantity.values.tolist()[1] == "cosine 1"
        assert "3 cosines" in features.attrs["model"]

    def test_it_does_not_depend_on_the_words(self) -> None:
        one, other = (hgcube.embed(words_of(*texts), "order") for texts in ("aaaa", "abc?"))
        np.testing.assert_array_equal(one, other)
        with pytest.raises(OptionError, match="-1"):
            hgcube.embed(words_of("a"), "order", terms=-1)
