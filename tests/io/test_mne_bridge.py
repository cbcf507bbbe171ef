"""Other formats through MNE-BIDS, and MNE objects in memory."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import mne
import mne_bids
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tiny_bids import write_tsv

import hgcube
from hgcube.errors import SourceError
from hgcube.io.mne_bridge import RawSignal
from hgcube.schema import check

RATE = 200.0


@pytest.fixture
def raw() -> Any:
    values = np.random.default_rng(5).normal(0, 40e-6, (6, 2000))
    names = ["LA1", "LA2", "RB1", "RB2", "EKG", "DC1"]
    info = mne.create_info(names, RATE, ["seeg"] * 3 + ["ecog", "ecg", "misc"], verbose="ERROR")
    info["line_freq"] = 60.0
    info["bads"] = ["RB1"]
    raw = mne.io.RawArray(values, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0, 4.0], [1.0, 1.5], ["boot", "huis"]))
    return raw


def _write(raw: Any, root: Path, form: str) -> None:
    path = mne_bids.BIDSPath(subject="07", task="words", datatype="ieeg", root=root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mne_bids.write_raw_bids(raw, path, allow_preload=True, format=form, verbose="ERROR")
    (events,) = root.rglob("*_events.tsv")
    # MNE-BIDS writes annotations as trial_type with a number as value.
    table = pd.read_csv(events, sep="\t")
    table = table.assign(value=table["trial_type"], trial_type="word")
    table.to_csv(events, sep="\t", index=False)


@pytest.mark.parametrize("form", ["BrainVision", "EDF", "EEGLAB"])
def test_other_bids_formats_make_the_same_cubes(raw: Any, tmp_path: Path, form: str) -> None:
    _write(raw, tmp_path, form)
    recording = hgcube.open_bids(tmp_path)["07"].dataset
    ieeg = recording["ieeg"]
    check(ieeg, "recording", stored=True)
    assert ieeg["electrode"].values.tolist() == ["07-LA1", "07-LA2", "07-RB1", "07-RB2"]
    # EDF holds 16-bit numbers.
    np.testing.assert_allclose(ieeg, raw.get_data()[:4], atol=2e-8 if form == "EDF" else 1e-11)
    assert ieeg["time"].attrs["sampling_frequency"] == RATE
    assert ieeg.attrs["line_frequency"] == 60
    assert ieeg["stored_scale"].values.tolist() == [1.0] * 4
    assert ieeg["bad"].values.tolist() == [False, False, True, False]
    assert recording["words"].values.tolist() == ["boot", "huis"]
    np.testing.assert_allclose(recording["onset"], [1.0, 4.0])
    assert set(recording.data_vars) == {"ieeg", "words"}


def test_a_file_is_read_lazily_and_pickles_by_path(
    raw: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(raw, tmp_path, "BrainVision")
    asked: list[tuple[int, int, int]] = []
    read = RawSignal.block

    def counted(self: RawSignal, electrodes: np.ndarray, start: int, stop: int) -> np.ndarray:
        asked.append((len(electrodes), start, stop))
        return read(self, electrodes, start, stop)

    monkeypatch.setattr(RawSignal, "block", counted)
    ieeg = xr.open_dataset(tmp_path, engine="ibids", cache=False)["ieeg"]
    assert asked == [(4, 800, 1201)]
    again = pickle.loads(pickle.dumps(ieeg))
    np.testing.assert_array_equal(again[2, 100:110], ieeg[2, 100:110])
    assert asked[-2:] == [(1, 100, 110)] * 2
    assert len(pickle.dumps(ieeg)) < ieeg.nbytes
    for key in ({"electrode": [3, 0], "time": slice(None, None, -50)}, {"time": [7, 3]}):
        whole = xr.DataArray(raw.get_data()[:4], dims=ieeg.dims)
        np.testing.assert_allclose(ieeg.isel(key), whole.isel(key), atol=1e-11)


def test_a_table_that_does_not_fit(raw: Any, tmp_path: Path) -> None:
    _write(raw, tmp_path, "BrainVision")
    (table,) = tmp_path.rglob("*channels.tsv")
    text = table.read_text(encoding="utf-8-sig")
    table.write_text(text.rstrip().rsplit("\n", 1)[0] + "\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"task-words_(ieeg.vhdr|channels.tsv)"):
        hgcube.open_bids(tmp_path)
    (signal,) = tmp_path.rglob("*.eeg")
    signal.unlink()
    with pytest.raises(SourceError, match=r"a file that MNE reads, .*_ieeg.vhdr"):
        hgcube.open_bids(tmp_path)


def test_fif_in_a_bids_folder(raw: Any, tmp_path: Path) -> None:
    folder = tmp_path / "sub-03" / "ieeg"
    folder.mkdir(parents=True)
    raw.save(folder / "sub-03_task-words_ieeg.fif", fmt="double", verbose="ERROR")
    write_tsv(
        folder / "sub-03_task-words_events.tsv",
        ["onset", "duration", "trial_type", "value"],
        [[1, 1, "word", "zee"]],
    )
    recording = hgcube.open_bids(tmp_path)["03"].dataset
    np.testing.assert_allclose(recording["ieeg"], raw.get_data()[:4], rtol=1e-12)
    assert recording["words"].values.tolist() == ["zee"]
    assert recording["bad"].values.tolist() == [False, False, True, False]


def test_a_folder_without_words_takes_a_table_of_its_own(raw: Any, tmp_path: Path) -> None:
    _write(raw, tmp_path / "bids", "BrainVision")
    next((tmp_path / "bids").rglob("*_events.tsv")).unlink()
    with pytest.raises(SourceError, match="words"):
        hgcube.open_bids(tmp_path / "bids")
    (tmp_path / "of-07.csv").write_text("onset,duration,text\n2.0,0.5,fiets\n")
    tree = hgcube.open_bids(tmp_path / "bids", events=str(tmp_path / "of-{subject}.csv"))
    assert tree["07"]["words"].values.tolist() == ["fiets"]
    assert tree["07"]["onset"].values.tolist() == [2.0]


def test_there_and_back(raw: Any) -> None:
    recording = hgcube.from_mne(raw, subject="09")
    back = hgcube.to_mne(recording)
    assert back.ch_names == ["LA1", "LA2", "RB1", "RB2"]
    assert back.get_channel_types() == ["seeg", "seeg", "seeg", "ecog"]
    np.testing.assert_array_equal(back.get_data(), raw.get_data()[:4])
    assert back.info["bads"] == ["RB1"] and back.info["line_freq"] == 60
    assert hgcube.from_mne(back, subject="09").identical(recording)
    assert recording["words"].values.tolist() == ["boot", "huis"]


def test_a_recording_alone_goes_to_mne(raw: Any) -> None:
    ieeg = hgcube.from_mne(raw)["ieeg"]
    back = hgcube.to_mne(ieeg.chunk(time=500))
    np.testing.assert_array_equal(back.get_data(), ieeg)
    assert len(back.annotations) == 0
    plain = xr.DataArray(
        np.zeros((2, 10)),
        dims=("electrode", "time"),
        coords={
            "electrode": ["a", "b"],
            "time": ("time", np.arange(10), {"sampling_frequency": 5}),
        },
    )
    assert hgcube.to_mne(plain).get_channel_types() == ["seeg", "seeg"]


def test_events_in_any_form(raw: Any, tmp_path: Path) -> None:
    table = pd.DataFrame({"onset": [1.0, 4.0], "duration": [1.0, 1.5], "text": ["boot", "huis"]})
    path = tmp_path / "words.csv"
    table.to_csv(path, index=False)
    by_annotations = hgcube.from_mne(raw)
    for events in (table, table.to_dict("list"), path, str(path), raw.annotations):
        assert hgcube.from_mne(raw, events).identical(by_annotations)
    with pytest.raises(SourceError, match=r"none named \['text'\]"):
        hgcube.from_mne(raw, table.drop(columns="text"))
    with pytest.raises(SourceError, match="ndarray"):
        hgcube.from_mne(raw, np.zeros((2, 3)))
    with pytest.raises(SourceError, match=r"raw object\. Got 'str'"):
        hgcube.from_mne("recording.edf", table)
    with pytest.raises(SourceError, match="no word in either"):
        hgcube.from_mne(raw, table.iloc[:0])


def test_annotations_count_from_the_first_sample(raw: Any) -> None:
    raw.set_meas_date(1_000_000)
    cropped = raw.copy().crop(tmin=0.5)
    words = hgcube.from_mne(cropped)["words"]
    np.testing.assert_allclose(words["onset"], [0.5, 3.5])
    cropped.annotations.append(1.0 + cropped.first_time, 0.5, "BAD_spike")
    cropped.annotations.append(2.0 + cropped.first_time, 0.5, "bad")
    assert hgcube.from_mne(cropped)["words"].values.tolist() == ["boot", "bad", "huis"]


def test_audio_beside_a_raw_object(raw: Any) -> None:
    from hgcube.io.audio import audio_cube

    sound = audio_cube(xr.Variable("audio_time", np.arange(50, dtype="i2")), 10.0, 0.0)
    recording = hgcube.from_mne(raw, audio=sound)
    np.testing.assert_array_equal(recording["audio"], np.arange(50))


def test_types_that_mne_guessed_are_taken(raw: Any, caplog: pytest.LogCaptureFixture) -> None:
    eeg = raw.copy().pick(["LA1", "LA2"]).set_channel_types({"LA1": "eeg", "LA2": "eeg"})
    assert hgcube.from_mne(raw)["type"].values.tolist()[0] != "EEG"
    assert "are taken for electrodes" not in caplog.text
    assert hgcube.from_mne(eeg)["type"].values.tolist() == ["EEG", "EEG"]
    assert "all 2 columns of type EEG or n/a are taken for electrodes" in caplog.text


def test_positions_of_a_montage_come_along(raw: Any) -> None:
    places = {"LA1": [0.01, 0.02, 0.03], "LA2": [0.02, 0.02, 0.03]}
    montage = mne.channels.make_dig_montage(places, coord_frame="head")
    raw.set_montage(montage, on_missing="ignore", verbose="ERROR")
    ieeg = hgcube.from_mne(raw)["ieeg"]
    np.testing.assert_allclose(ieeg["x"], [0.01, 0.02, np.nan, np.nan])
    assert ieeg["x"].attrs == {"units": "m", "space": "HEAD"}
