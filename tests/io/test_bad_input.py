"""Each wrong input gets one clear error that names the file, or a flag; never a traceback."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from tiny_bids import RATE, write_nwb, write_recording, write_sidecars

from hgcube.errors import SourceError, UnknownLabelError
from hgcube.io import list_recordings

Edit = Callable[[Path, Callable[[str], str]], None]


def _open(path: Path) -> xr.Dataset:
    return xr.open_dataset(path, engine="nwb-ieeg")


def _beside(recording: Path, ending: str) -> Path:
    (found,) = recording.parent.glob(f"*{ending}")
    return found


def test_a_truncated_file_names_itself(recording: Path) -> None:
    recording.write_bytes(recording.read_bytes()[: recording.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"whole HDF5.*sub-01_task-words_ieeg.nwb"):
        _open(recording)


def test_a_file_that_is_no_hdf5_names_itself(recording: Path) -> None:
    recording.write_text("version https://git-lfs")
    with pytest.raises(SourceError, match=r"sub-01_task-words_ieeg.nwb"):
        _open(recording)


def test_a_missing_file_or_folder(tmp_path: Path, recording: Path) -> None:
    with pytest.raises(SourceError, match=r"no file .*nothing_ieeg.nwb"):
        _open(tmp_path / "nothing_ieeg.nwb")
    recording.unlink()
    recording.symlink_to(recording.parent / "annexed")
    with pytest.raises(SourceError, match="no file"):
        _open(recording)
    with pytest.raises(SourceError, match=f"none in {tmp_path}"):
        xr.open_datatree(tmp_path, engine="ibids")
    with pytest.raises(SourceError, match=r"no folder .*nowhere"):
        xr.open_datatree(tmp_path / "nowhere", engine="ibids")


def test_a_file_outside_bids_says_where_it_belongs(tmp_path: Path, recording: Path) -> None:
    stray = recording.rename(tmp_path / "stray_ieeg.nwb")
    with pytest.raises(SourceError, match="inside sub-XX/ of a BIDS folder"):
        _open(stray)


def test_missing_ieeg_names_what_is_there(recording: Path) -> None:
    with h5py.File(recording, "r+") as file:
        file.move("acquisition/iEEG", "acquisition/ieeg_raw")
    with pytest.raises(SourceError, match=r"'iEEG'.*ieeg_raw"):
        _open(recording)


def test_missing_audio_is_allowed_and_logged(
    recording: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with h5py.File(recording, "r+") as file:
        del file["acquisition/Audio"]
    with caplog.at_level(logging.INFO, logger="hgcube"):
        opened = _open(recording)
    assert set(opened.data_vars) == {"ieeg", "words"} and "audio_time" not in opened.dims
    assert "sub-01_task-words_ieeg.nwb: no audio" in caplog.text


def test_rows_and_columns_must_agree(recording: Path, edit_tsv: Edit) -> None:
    edit_tsv(
        _beside(recording, "channels.tsv"), lambda text: text.rstrip().rsplit("\n", 1)[0] + "\n"
    )
    with pytest.raises(SourceError, match=rf"channels.tsv.*\({RATE * 13}, 5\).*and 4 rows"):
        _open(recording)


def test_no_table_of_columns(recording: Path) -> None:
    _beside(recording, "channels.tsv").unlink()
    with pytest.raises(SourceError, match=r"channels.tsv beside .*_ieeg.nwb"):
        _open(recording)


def test_a_table_without_names_or_in_latin1(recording: Path, edit_tsv: Edit) -> None:
    path = _beside(recording, "channels.tsv")
    text = path.read_text(encoding="utf-8")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=r"UTF-8 in .*channels.tsv"):
        _open(recording)
    path.write_text(text.replace("name", "label", 1), encoding="utf-8")
    with pytest.raises(SourceError, match=r"columns \['name'\] in .*channels.tsv"):
        _open(recording)
    path.write_text("")
    with pytest.raises(SourceError, match=r"channels.tsv"):
        _open(recording)


def test_duplicated_electrodes(recording: Path, edit_tsv: Edit) -> None:
    edit_tsv(_beside(recording, "channels.tsv"), lambda text: text.replace("LA2\t", "LA1\t"))
    with pytest.raises(SourceError, match=r"unique electrode names.*\['LA1'\]"):
        _open(recording)


def test_duplicated_positions(recording: Path, edit_tsv: Edit) -> None:
    edit_tsv(_beside(recording, "electrodes.tsv"), lambda text: text.replace("LA2", "LA1"))
    with pytest.raises(SourceError, match=r"electrodes.tsv.*\['LA1'\]"):
        _open(recording)


def test_a_position_that_is_no_number(recording: Path, edit_tsv: Edit) -> None:
    edit_tsv(_beside(recording, "electrodes.tsv"), lambda text: text.replace("2.5", "2,5"))
    with pytest.raises(SourceError, match=r"'z' of .*electrodes.tsv.*2,5"):
        _open(recording)


def test_broken_json(recording: Path) -> None:
    _beside(recording, "_ieeg.json").write_text('{"SamplingFrequency": 256,')
    with pytest.raises(SourceError, match=r"valid JSON in .*_ieeg.json"):
        _open(recording)


def test_no_electrode_types(recording: Path, edit_tsv: Edit) -> None:
    edit_tsv(_beside(recording, "channels.tsv"), lambda text: text.replace("SEEG", "MISC"))
    with pytest.raises(SourceError, match="'MISC': 5"):
        _open(recording)


def test_the_files_own_rate_wins(recording: Path, caplog: pytest.LogCaptureFixture) -> None:
    _beside(recording, "_ieeg.json").write_text(json.dumps({"SamplingFrequency": 1024}))
    opened = _open(recording)
    assert opened["time"].attrs["sampling_frequency"] == RATE
    assert "1024.0" in caplog.text and str(recording) in caplog.text


def test_no_words_anywhere(recording: Path, edit_tsv: Edit) -> None:
    with h5py.File(recording, "r+") as file:
        del file["acquisition/Stimulus"]
    edit_tsv(_beside(recording, "events.tsv"), lambda text: text.splitlines()[0])
    with pytest.raises(SourceError, match=r"words of .*sub-01_task-words_ieeg.nwb"):
        _open(recording)


@pytest.mark.parametrize("wrong", ["soon", "n/a", "-2"])
def test_words_need_seconds(recording: Path, edit_tsv: Edit, wrong: str) -> None:
    edit_tsv(
        _beside(recording, "events.tsv"),
        lambda text: text.replace("3\t2\tword", f"3\t{wrong}\tword"),
    )
    with pytest.raises(SourceError, match=rf"events.tsv.*{wrong}.*'huis'"):
        _open(recording)


def test_unknown_subject_and_task(recording: Path) -> None:
    root = recording.parents[2]
    with pytest.raises(UnknownLabelError, match=r"'1'.*'01'"):
        list_recordings(root, subjects=["1"])
    with pytest.raises(UnknownLabelError, match=r"'word'.*'words'"):
        xr.open_datatree(root, engine="ibids", task="word")


def test_links_may_not_leave_the_folder(tmp_path: Path, recording: Path) -> None:
    elsewhere = tmp_path / "elsewhere.nwb"
    recording.rename(elsewhere)
    recording.symlink_to(elsewhere)
    with pytest.raises(SourceError, match=r"a link to .*elsewhere.nwb"):
        list_recordings(recording.parents[2])


def test_one_recording_in_two_formats(recording: Path) -> None:
    recording.with_suffix(".edf").write_bytes(b"")
    with pytest.raises(SourceError, match="one file per recording"):
        list_recordings(recording.parents[2])


def test_a_file_that_breaks_later_is_named(recording: Path) -> None:
    opened = _open(recording)
    opened["ieeg"][:, :10].load()
    with h5py.File(recording) as file:
        chunk = file["acquisition/iEEG/data"].id.get_chunk_info(0)
    opened.close()
    with recording.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\x00" * chunk.size)
    with pytest.raises(SourceError, match=r"whole HDF5.*sub-01_task-words_ieeg.nwb"):
        opened["ieeg"].load()
    recording.unlink()
    opened.close()
    with pytest.raises(SourceError, match=r"sub-01_task-words_ieeg.nwb"):
        opened["audio"].load()


def test_a_field_too_many_does_not_shift_the_columns(recording: Path, edit_tsv: Edit) -> None:
    edit_tsv(_beside(recording, "channels.tsv"), lambda text: text.replace("n/a\n", "n/a\t\n"))
    with pytest.raises(SourceError, match=r"a table in UTF-8 in .*channels.tsv"):
        _open(recording)


def test_a_failed_opening_leaves_no_open_file(recording: Path) -> None:
    _beside(recording, "events.tsv").write_text("onset\n")
    with pytest.raises(SourceError, match="duration"):
        _open(recording)
    with h5py.File(recording, "r+") as file:
        assert "acquisition" in file


def test_nan_and_flat_electrodes_stay(tmp_path: Path) -> None:
    stored = np.random.default_rng(1).normal(0, 50, (RATE * 13, 5))
    stored[:, 1], stored[:, 3] = np.nan, 0.0
    path = write_nwb(tmp_path / "sub-01" / "ieeg" / "sub-01_ieeg.nwb", stored)
    write_sidecars(path.parent, "sub-01")
    opened = _open(path)
    assert opened.sizes["electrode"] == 5
    assert "unit_warning" not in opened["ieeg"].attrs
    assert np.isnan(opened["ieeg"][1]).all() and (opened["ieeg"][3] == 0).all()


def test_a_folder_of_several_tasks_names_them(tmp_path: Path) -> None:
    write_recording(tmp_path, "sub-01_ses-a_task-words")
    write_recording(tmp_path, "sub-01_ses-b_task-rest")
    assert list(list_recordings(tmp_path)) == ["01_ses-a_task-words", "01_ses-b_task-rest"]
    assert list(list_recordings(tmp_path, task="rest")) == ["01"]
