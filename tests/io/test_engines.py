"""The two xarray engines: lazy, picklable, in volts, as the files say."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import dask.array
import h5py
import numpy as np
import pytest
import xarray as xr
from tiny_bids import AUDIO_RATE, NAMES, RATE, SECONDS, WORDS, stored_numbers, write_recording

import hgcube
from hgcube.errors import UnknownLabelError
from hgcube.io.audio import audio_cube
from hgcube.io.nwb import NWBSignal
from hgcube.schema import check


def _mean(cube: xr.DataArray) -> np.ndarray:
    return cube.mean("time").values


def test_a_file_opens_as_a_recording_set_in_volts(study: Path) -> None:
    path = study / "sub-01" / "ieeg" / "sub-01_task-words_ieeg.nwb"
    recording = xr.open_dataset(path, engine="nwb-ieeg")
    assert recording["ieeg"].dims == ("electrode", "time")
    assert recording["ieeg"].dtype == np.float64
    np.testing.assert_allclose(recording["ieeg"], 1e-6 * stored_numbers().T, rtol=1e-15)
    np.testing.assert_allclose(
        recording["ieeg"] / recording["stored_scale"], stored_numbers().T, rtol=1e-14
    )
    assert recording["electrode"].values.tolist() == [f"01-{name}" for name in NAMES]
    assert recording["time"].attrs["sampling_frequency"] == RATE
    for name, kind in (("ieeg", "recording"), ("audio", "audio"), ("words", "words")):
        check(recording[name], kind, stored=True)


def test_audio_keeps_its_samples_and_its_own_axis(study: Path) -> None:
    recording = hgcube.open_bids(study, subjects=["01"])["01"].dataset
    audio = recording["audio"]
    assert audio.dtype == np.int16
    np.testing.assert_array_equal(audio, np.arange(AUDIO_RATE * SECONDS).astype(np.int16))
    np.testing.assert_allclose(audio["audio_time"], np.arange(audio.size) / AUDIO_RATE, atol=1e-9)
    assert audio["audio_time"].attrs["sampling_frequency"] == AUDIO_RATE


def test_words_come_with_their_display(study: Path) -> None:
    words = xr.open_datatree(study, engine="ibids")["01"]["words"]
    assert words.values.tolist() == list(WORDS)
    np.testing.assert_array_equal(words["onset"], [0, 3, 6, 9])
    np.testing.assert_array_equal(words["duration"], 2)
    assert set(words["flag"].values.tolist()) == {""}
    assert words.attrs["event_disagreements"] == ""


def test_a_folder_opens_as_a_sorted_tree_of_runs(study: Path) -> None:
    tree = xr.open_datatree(study, engine="ibids")
    assert list(tree.children) == ["01", "02_run-1", "02_run-2"]
    assert tree["02_run-2"].dataset["run"].values.tolist() == ["run-2"] * 4
    np.testing.assert_allclose(tree["02_run-2"]["ieeg"], 1e-6 * stored_numbers(2).T, rtol=1e-15)
    assert tree.identical(tree) and not tree["02_run-1"].equals(tree["02_run-2"])


def test_open_bids_is_the_engine_on_dask(study: Path) -> None:
    opened = hgcube.open_bids(study)
    by_engine = xr.open_datatree(study, engine="ibids")
    assert opened.identical(by_engine)
    one = opened["01"].dataset
    assert one["ieeg"].chunks == ((5,), (RATE * SECONDS,))
    assert one["audio"].chunks == ((AUDIO_RATE * SECONDS,),)
    # Dask coordinates cannot be queried.
    assert [name for name in one.coords if one[name].chunks] == []
    assert one["ieeg"].hg.sel(group="LA").sizes["electrode"] == 3
    one = xr.open_dataset(study, engine="ibids", recording="02_run-1")
    assert one.identical(by_engine["02_run-1"].dataset)
    with pytest.raises(UnknownLabelError, match="02_run-1"):
        xr.open_dataset(study, engine="ibids", recording="02_run1")


def test_preferred_chunks_are_sixteen_electrodes_by_all_time(study: Path) -> None:
    path = study / "sub-01" / "ieeg" / "sub-01_task-words_ieeg.nwb"
    lazy = xr.open_dataset(path, engine="nwb-ieeg")
    assert lazy["ieeg"].encoding["preferred_chunks"] == {"electrode": 5, "time": RATE * SECONDS}
    on_dask = xr.open_dataset(path, engine="nwb-ieeg", chunks={})
    assert on_dask["ieeg"].chunks == ((5,), (RATE * SECONDS,))
    split = lazy.chunk({"electrode": 2, "time": 1000})
    np.testing.assert_array_equal(split["ieeg"], lazy["ieeg"])


@pytest.mark.parametrize(
    "key",
    [
        {"electrode": 3, "time": slice(10, 20)},
        {"electrode": [4, 0, 2], "time": slice(None, None, 7)},
        {"electrode": slice(None, None, -1), "time": [5, 3000, 1]},
        {"electrode": [], "time": -1},
        {"electrode": 0, "time": slice(50, 10)},
        {"electrode": np.array([True, False, True, False, True]), "time": slice(100, 0, -3)},
    ],
)
def test_any_indexing_equals_numpy(study: Path, key: dict[str, object]) -> None:
    recording = xr.open_dataset(study, engine="ibids", cache=False)["ieeg"]
    whole = xr.DataArray(stored_numbers().T * 1e-6, dims=("electrode", "time"))
    np.testing.assert_allclose(recording.isel(key), whole.isel(key), rtol=1e-15)


def test_opening_reads_a_few_seconds_and_a_slice_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_recording(tmp_path)
    asked: list[int] = []
    read = NWBSignal.block

    def counted(self: NWBSignal, electrodes: np.ndarray, start: int, stop: int) -> np.ndarray:
        asked.append(len(electrodes) * (stop - start))
        return read(self, electrodes, start, stop)

    monkeypatch.setattr(NWBSignal, "block", counted)
    recording = xr.open_dataset(path, engine="nwb-ieeg", chunks={})
    assert asked == [len(NAMES) * (2 * RATE + 1)]
    recording["ieeg"].mean("time")
    assert len(asked) == 1
    recording["ieeg"].chunk(time=RATE).isel(electrode=0, time=slice(0, 8)).compute()
    xr.open_dataset(path, engine="nwb-ieeg")["ieeg"][1, :8].compute()
    assert asked[-1] == 8


def test_memory_of_opening_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    path = write_recording(tmp_path)
    n_times = RATE * SECONDS * 100
    with h5py.File(path, "r+") as file:
        series = file["acquisition/iEEG"]
        attrs = dict(series["data"].attrs)
        del series["data"]
        long = series.create_dataset("data", (n_times, 5), "f8", chunks=(RATE, 5), fillvalue=1.0)
        long.attrs.update(attrs)
    xr.open_dataset(path, engine="nwb-ieeg").close()
    tracemalloc.start()
    with xr.open_dataset(path, engine="nwb-ieeg") as recording:
        peak = tracemalloc.get_traced_memory()[1]
        assert recording["ieeg"].nbytes == n_times * 5 * 8
    tracemalloc.stop()
    # The time axis and its temporaries (labels are checked for duplicates), not the signal.
    assert peak < 4 * n_times * 8 < 5 * n_times * 8


def test_the_audio_axis_needs_no_memory() -> None:
    samples = xr.Variable("audio_time", dask.array.zeros(10**11, dtype=np.int16))
    audio = audio_cube(samples, 48_000.0, -1.0)
    assert check(audio, "audio").sizes == {"audio_time": 10**11}
    assert audio["audio_time"][48_000].item() == 0.0


def test_recordings_travel_to_another_process(study: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for chunks in (None, {}):
            cube = xr.open_dataset(study, engine="ibids", chunks=chunks)["ieeg"]
            assert len(pickle.dumps(cube)) < 0.7 * cube.nbytes
            np.testing.assert_array_equal(pool.submit(_mean, cube).result(), _mean(cube))


def test_drop_variables_and_plain_guessing(study: Path) -> None:
    path = study / "sub-01" / "ieeg" / "sub-01_task-words_ieeg.nwb"
    recording = xr.open_dataset(path, drop_variables="audio")
    assert set(recording.data_vars) == {"ieeg", "words"}
    assert "01" in xr.open_datatree(study).children


def test_listing_engines_loads_no_heavy_library() -> None:
    code = (
        "import sys, hgcube.io, hgcube.io.engines, hgcube.io.bids, xarray\n"
        "assert 'ibids' in xarray.backends.list_engines()\n"
        "print([m for m in ('mne', 'pynwb', 'h5py', 'scipy.signal') if m in sys.modules])"
    )
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # xarray itself may load h5py to learn whether its own engine is there.
    assert "mne" not in heavy.stdout and "pynwb" not in heavy.stdout
