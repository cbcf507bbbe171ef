"""Words from events.tsv, Stimulus, CSV and TextGrid, and where sources disagree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tiny_bids import RATE, WORDS, stimulus_track, write_recording, write_tsv

from hgcube.errors import SourceError, UnknownLabelError
from hgcube.io import read_events
from hgcube.io.events import bids_words, disagreements, words_cube

Edit = Callable[[Path, Callable[[str], str]], None]

LONG_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "click 3"
    item [2]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 2.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "zee 2 ""hoog"" [3]"
        intervals [3]:
            xmin = 1.25
            xmax = 2.5
            text = "ijs"
"""
SHORT_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
2
"TextTier"
"clicks"
0
2.5
1
1.5
"click 3"
"IntervalTier"
"words"
0
2.5
3
0
0.5
""
0.5
1.25
"zee 2 ""hoog"" [3]"
1.25
2.5
"ijs"
"""


def _frame(*rows: tuple[float, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"onset": [on for on, _ in rows], "duration": 1.0, "text": [text for _, text in rows]}
    )


def _open(path: Path) -> xr.DataArray:
    return xr.open_dataset(path, engine="nwb-ieeg")["words"]


def _events_of(recording: Path) -> Path:
    return recording.with_name("sub-01_task-words_events.tsv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", [LONG_GRID, SHORT_GRID], ids=["long", "short"])
def test_both_textgrid_formats(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "read.TextGrid"
    path.write_text(text, encoding=encoding)
    words = read_events(path)
    assert words["text"].tolist() == ['zee 2 "hoog" [3]', "ijs"]
    np.testing.assert_allclose(words[["onset", "duration"]], [[0.5, 0.75], [1.25, 1.25]])
    with pytest.raises(UnknownLabelError, match="'words'"):
        read_events(path, tier="word")


def test_broken_textgrids(tmp_path: Path) -> None:
    path = tmp_path / "read.TextGrid"
    path.write_text(LONG_GRID[:400])
    with pytest.raises(SourceError, match=r"whole TextGrid .*read.TextGrid"):
        read_events(path)
    path.write_bytes(b"\x00\x01\x02")
    with pytest.raises(SourceError, match="in text format"):
        read_events(path)


def test_csv_and_tsv(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("text,onset,duration\nna,1.5,.5\nboot,0.5,1\n", encoding="utf-8-sig")
    words = read_events(path)
    assert words["text"].tolist() == ["boot", "na"]
    assert words["onset"].tolist() == [0.5, 1.5]
    same = write_tsv(
        tmp_path / "words.tsv", ["onset", "duration", "text"], words.to_numpy().tolist()
    )
    pd.testing.assert_frame_equal(read_events(same), words)
    path.write_text("onset,text\n1,boot\n")
    with pytest.raises(SourceError, match=r"words.csv.*\['duration'\]"):
        read_events(path)
    with pytest.raises(SourceError, match=r"no file .*gone.csv"):
        read_events(tmp_path / "gone.csv")


def test_rows_that_are_words(tmp_path: Path) -> None:
    rows = [[0, 1, "word", "12"], [1, 1, "fixation", "+"], [2, 1, "word", "n/a"]]
    path = write_tsv(tmp_path / "e.tsv", ["onset", "duration", "trial_type", "value"], rows)
    assert bids_words(path)["text"].tolist() == ["12", "n/a"]
    rows = [[0, 1, "boot"], [1, 1, "+"], [2, 1, "Fixation"], [3, 1, "7"], [4, 1, "rest"]]
    path = write_tsv(tmp_path / "e.tsv", ["onset", "duration", "value"], rows)
    assert bids_words(path)["text"].tolist() == ["boot", "rest"]
    path = write_tsv(tmp_path / "e.tsv", ["onset", "duration"], [[0, 1]])
    assert len(bids_words(path)) == 0


def test_stimulus_alone_gives_the_same_words(recording: Path) -> None:
    by_events = _open(recording)
    _events_of(recording).unlink()
    by_stimulus = _open(recording)
    assert by_stimulus.equals(by_events)
    assert "event_disagreements" not in by_stimulus.attrs


def test_events_alone(recording: Path) -> None:
    with h5py.File(recording, "r+") as file:
        del file["acquisition/Stimulus"]
    assert _open(recording).values.tolist() == list(WORDS)


def test_one_sample_is_tolerated_and_two_are_not(recording: Path, edit_tsv: Edit) -> None:
    def shifted(samples: int) -> str:
        text = _events_of(recording).read_text(encoding="utf-8")
        changed = text.replace("3\t2\tword\thuis", f"{3 + samples / RATE}\t2\tword\thuis")
        _events_of(recording).write_text(changed, encoding="utf-8")
        attrs = _open(recording).attrs
        _events_of(recording).write_text(text, encoding="utf-8")
        return str(attrs["event_disagreements"])

    assert shifted(1) == "" and shifted(-1) == ""
    assert shifted(2).startswith("1 disagreement: 'huis' at 3.0078 s in the events, 3.0000 s")


def test_disagreeing_texts_are_counted_and_the_events_taken(
    recording: Path, edit_tsv: Edit, caplog: pytest.LogCaptureFixture
) -> None:
    edit_tsv(_events_of(recording), lambda text: text.replace("kaas", "kool"))
    words = _open(recording)
    assert words.values.tolist() == ["boot", "huis", "kool", "fiets"]
    assert set(words["flag"].values.tolist()) == {""}
    assert words.attrs["event_disagreements"].startswith("2 disagreements: 'kool' at 6.0000 s")
    assert "'kaas' at 6.0000 s only in Stimulus" in caplog.text and str(recording) in caplog.text


def test_a_missing_word_does_not_shift_the_others() -> None:
    events = _frame((0, "a"), (1, "b"), (2, "c"), (3, "a"))
    assert disagreements(events, events, 1e-9) == []
    found = disagreements(events, events.drop(1), 1e-9)
    assert found == ["'b' at 1.0000 s only in the events"]
    assert disagreements(events.drop(2), events, 1e-9) == ["'c' at 2.0000 s only in Stimulus"]


@pytest.mark.parametrize("seed", range(3))
def test_runs_equal_a_plain_loop_across_blocks(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hgcube.io.nwb._BLOCK", 100)
    rng = np.random.default_rng(seed)
    vocabulary = ["", "+", *WORDS]
    track: list[str] = []
    while len(track) < RATE * 13:
        track += [vocabulary[rng.integers(6)]] * int(rng.integers(1, 150))
    track = track[: RATE * 13]
    expected = []
    for sample, text in enumerate(track):
        if text not in ("", "+") and (sample == 0 or track[sample - 1] != text):
            expected.append((sample / RATE, text))
    path = write_recording(tmp_path, stimulus=track)
    _events_of(path).unlink()
    words = _open(path)
    assert len(expected) > 5
    assert list(zip(words["onset"].values, words.values, strict=True)) == expected
    spoken = sum(text not in ("", "+") for text in track)
    assert words["duration"].sum() * RATE == spoken


def test_events_beyond_the_recording_stay_with_a_flag(recording: Path, edit_tsv: Edit) -> None:
    edit_tsv(_events_of(recording), lambda text: text + "12.5\t2\tword\tzee\n99\t2\tword\tijs\n")
    words = _open(recording)
    assert words.sizes["word"] == 6
    assert words["flag"].values.tolist() == ["", "", "", "", "outside", "outside"]


def test_a_word_may_end_with_the_recording() -> None:
    cube = words_cube(
        _frame((0, "a"), (9, "b"), (-0.1, "c")),
        end=10.0,
        tolerance=1e-3,
        path=Path("a.nwb"),
        run="",
        attrs={},
    )
    assert cube["flag"].values.tolist() == ["", "", "outside"]


def test_stimulus_must_be_text(recording: Path) -> None:
    with h5py.File(recording, "r+") as file:
        group = file["acquisition/Stimulus"]
        del group["data"]
        group["data"] = np.arange(len(stimulus_track()))
    with pytest.raises(SourceError, match=r"'Stimulus' in .*int64"):
        _open(recording)
