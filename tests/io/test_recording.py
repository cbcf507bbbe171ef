"""A recording as a study's settings say: events, audio, bad tables, line frequency."""

from __future__ import annotations

import json
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from scipy.io import wavfile
from tiny_bids import RATE, SECONDS, stored_numbers, write_recording, write_tsv

import hgcube
from hgcube.config import Source
from hgcube.errors import SourceError, UnknownLabelError
from hgcube.io import RecordingFiles, list_recordings, open_recording, read_wav


@pytest.fixture
def files(recording: Path) -> RecordingFiles:
    return list_recordings(recording.parents[2])["01"]


def test_signals_are_on_dask_and_coordinates_in_memory(files: RecordingFiles) -> None:
    opened = open_recording(files, source=Source())
    assert opened["ieeg"].chunks == ((5,), (RATE * SECONDS,))
    assert [name for name in opened.coords if opened[name].chunks] == []
    np.testing.assert_allclose(opened["ieeg"], 1e-6 * stored_numbers().T, rtol=1e-15)
    assert opened["ieeg"].attrs["line_frequency"] == 50
    assert opened.attrs == {"subject": "01", "recording": "01", "task": "words"}


def test_more_than_sixteen_electrodes_are_split() -> None:
    from hgcube.io.recording import _preferred_chunks

    wide = hgcube.io.from_mne(_raw(40), {"onset": [0.1], "duration": [0.1], "text": ["boot"]})
    assert _preferred_chunks(wide["ieeg"]) == {"electrode": 16, "time": 500}
    assert wide["ieeg"].encoding["preferred_chunks"]["electrode"] == 16


def _raw(n_electrodes: int):  # type: ignore[no-untyped-def]
    import mne

    info = mne.create_info([f"A{k}" for k in range(n_electrodes)], 100.0, "seeg", verbose="ERROR")
    values = np.random.default_rng(0).normal(0, 1e-5, (n_electrodes, 500))
    return mne.io.RawArray(values, info, verbose="ERROR")


def test_settings_change_what_they_name(files: RecordingFiles, tmp_path: Path) -> None:
    events = write_tsv(
        tmp_path / "events_01.tsv", ["onset", "duration", "text"], [[1, 1, "zee"], [5, 1, "ijs"]]
    )
    source = Source(events=str(events).replace("01.tsv", "{subject}.tsv"), line_frequency=60)
    opened = open_recording(files, source=source)
    assert opened["words"].values.tolist() == ["zee", "ijs"]
    assert opened["ieeg"].attrs["line_frequency"] == 60
    with pytest.raises(SourceError, match=r"no file .*events_01.csv"):
        open_recording(files, source=Source(events=str(tmp_path / "events_{recording}.csv")))


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.uint8])
def test_audio_from_a_wav_with_an_offset(files: RecordingFiles, tmp_path: Path, kind: type) -> None:
    sound = np.arange(4410).astype(kind)
    wavfile.write(tmp_path / "a.wav", 44100, sound)
    if kind is np.uint8:
        with pytest.raises(hgcube.errors.CubeError, match="uint8"):
            read_wav(tmp_path / "a.wav")
        return
    source = Source(audio=str(tmp_path / "a.wav"), audio_offset=-0.25)
    audio = open_recording(files, source=source)["audio"]
    np.testing.assert_array_equal(audio, sound)
    np.testing.assert_allclose(audio["audio_time"], -0.25 + np.arange(4410) / 44100, atol=1e-12)
    assert audio["audio_time"].attrs["sampling_frequency"] == 44100


def test_a_wav_is_mapped_not_read(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.zeros((8000, 2), np.int16))
    audio = read_wav(tmp_path / "a.wav")
    assert isinstance(audio.variable._data.base, np.memmap) or isinstance(
        audio.variable._data, np.memmap
    )
    assert audio.sizes == {"audio_time": 8000}


def test_a_file_that_is_no_wav(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("RIFX")
    with pytest.raises(SourceError, match=r"a WAV file .*b.wav\. Got no such file\."):
        read_wav(tmp_path / "b.wav")
    with pytest.raises(SourceError, match=r"a WAV file .*a.wav"):
        read_wav(tmp_path / "a.wav")
    with pytest.raises(SourceError, match=r"b.wav"):
        read_wav(tmp_path / "b.wav")


def test_bad_electrodes_are_marked_and_stay(files: RecordingFiles, tmp_path: Path) -> None:
    rows = [["01", "LA2", "spikes"], ["sub-01", "01-RB1", ""], ["02", "ZZ9", "of another"]]
    table = write_tsv(tmp_path / "bad.tsv", ["subject", "name", "reason"], rows)
    opened = open_recording(files, source=Source(bad_electrodes=str(table)))
    assert opened["bad"].values.tolist() == [False, True, False, True, False]
    assert opened["bad_reason"].values.tolist() == ["", "spikes", "", "marked by hand", ""]
    assert opened.sizes["electrode"] == 5
    table.rename(tmp_path / f"bad-{files.subject}.tsv")
    own = open_recording(files, source=Source(bad_electrodes=str(tmp_path / "bad-{subject}.tsv")))
    assert own["bad"].equals(opened["bad"])
    write_tsv(table, ["subject", "name", "reason"], [["01", "LA3", "x"]])
    with pytest.raises(UnknownLabelError, match=r"bad.tsv.*'LA3'.*'LA2'"):
        open_recording(files, source=Source(bad_electrodes=str(table)))


def test_bad_words_are_flagged_and_stay(files: RecordingFiles, tmp_path: Path) -> None:
    events = write_tsv(
        tmp_path / "e.tsv", ["onset", "duration", "text"], [[1, 1, "zee"], [99, 1, "zee"]]
    )
    table = write_tsv(tmp_path / "bad.tsv", ["subject", "word", "reason"], [["01", "zee", "cough"]])
    source = Source(events=str(events), bad_words=str(table))
    assert open_recording(files, source=source)["flag"].values.tolist() == [
        "bad: cough",
        "outside;bad: cough",
    ]
    write_tsv(table, ["subject", "word", "reason"], [["01", "zeer", "cough"]])
    with pytest.raises(UnknownLabelError, match=r"'zeer'.*'zee'"):
        open_recording(files, source=source)


def test_a_bad_table_needs_its_columns(files: RecordingFiles, tmp_path: Path) -> None:
    table = write_tsv(tmp_path / "bad.tsv", ["subject", "name"], [["01", "LA2"]])
    with pytest.raises(SourceError, match=r"bad.tsv.*\['reason'\]"):
        open_recording(files, source=Source(bad_electrodes=str(table)))
    with pytest.raises(SourceError, match=r"no file .*gone.tsv"):
        open_recording(files, source=Source(bad_words=str(tmp_path / "gone.tsv")))


@pytest.mark.parametrize(
    ("description", "simulated"),
    [
        ({}, False),
        ({"Simulated": True}, True),
        ({"GeneratedBy": [{"Name": "hgcube simulate"}]}, True),
        ({"GeneratedBy": [{"Name": "recorder"}, {"Name": "x", "Simulated": True}]}, True),
        ({"GeneratedBy": [{"Name": "recorder"}], "Simulated": False}, False),
    ],
)
def test_simulated_data_say_so(
    files: RecordingFiles, description: dict[str, object], simulated: bool
) -> None:
    (files.path.parents[2] / "dataset_description.json").write_text(json.dumps(description))
    opened = open_recording(files, source=Source())
    assert opened.attrs.get("simulated", False) is simulated
    assert opened["ieeg"].attrs.get("simulated", False) is simulated


def test_side_cars_are_inherited_and_all_listed(tmp_path: Path) -> None:
    path = write_recording(tmp_path, "sub-01_ses-a_task-words_run-1")
    write_recording(tmp_path, "sub-01_ses-a_task-words_run-2", seed=1)
    specific = path.with_name("sub-01_ses-a_task-words_run-1_ieeg.json")
    specific.write_text('{"PowerLineFrequency": 60}')
    (tmp_path / "task-words_ieeg.json").write_text(
        '{"PowerLineFrequency": 50, "SamplingFrequency": 256}'
    )
    (tmp_path / "task-rest_ieeg.json").write_text('{"PowerLineFrequency": 1}')
    shared = path.with_name("sub-01_ses-a_task-words_run-2_events.tsv").rename(
        tmp_path / "task-words_events.tsv"
    )
    first, second = list_recordings(tmp_path).values()
    assert (first.session, first.run, first.task) == ("a", "1", "words")
    assert first.find("ieeg.json") == specific and second.find("events.tsv") == shared
    names = {file.name for file in first.files}
    assert {"task-words_ieeg.json", "dataset_description.json", path.name} <= names
    assert not any("run-2" in name or "rest" in name for name in names)
    opened = open_recording(first, source=Source())
    assert opened["ieeg"].attrs["line_frequency"] == 60
    assert opened["words"]["run"].values.tolist() == ["ses-a_run-1"] * 4


def test_the_same_values_with_and_without_dask(files: RecordingFiles) -> None:
    tree = hgcube.open_bids(files.path.parents[2])
    assert open_recording(files, source=Source()).identical(tree["01"].dataset)


def test_a_recording_set_goes_through_zarr_unchanged(files: RecordingFiles, tmp_path: Path) -> None:
    opened = open_recording(files, source=Source())
    opened.to_zarr(tmp_path / "part.zarr", consolidated=False)
    stored = xr.open_zarr(tmp_path / "part.zarr", consolidated=False)
    # Only the kind of the audio's index differs: a range here, numbers there.
    axis = "audio_time"
    xr.testing.assert_identical(stored.load().drop_indexes(axis), opened.load().drop_indexes(axis))
    assert stored["time"].attrs["sampling_frequency"] == RATE


def test_threads_may_read_at_once(files: RecordingFiles) -> None:
    ieeg = open_recording(files, source=Source())["ieeg"].chunk(electrode=1, time=200)
    with dask.config.set(scheduler="threads", num_workers=8):
        np.testing.assert_allclose(ieeg.compute(), 1e-6 * stored_numbers().T, rtol=1e-15)


def test_generic_descriptions_are_no_regions(recording: Path) -> None:
    table = recording.with_name("sub-01_task-words_channels.tsv")
    text = table.read_text(encoding="utf-8").replace("ctx_lh_LA1\t", "Electrocorticography\t")
    table.write_text(text, encoding="utf-8")
    (files,) = list_recordings(recording.parents[2]).values()
    regions = open_recording(files, source=Source())["region"].values.tolist()
    assert regions[:2] == ["n/a", "ctx_lh_LA2"]
