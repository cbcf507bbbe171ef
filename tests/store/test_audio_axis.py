"""The time axis of audio is stored as start and rate: its labels would be 100 MB a recording."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from xarray.indexes import RangeIndex

from hgcube.schema import audio_axis, finish, text_array
from hgcube.store import open_cube, write_part


def spoken(n_samples: int, rate: float, start: float) -> xr.Dataset:
    """A recording with audio on its own axis, and iEEG on an explicit one."""
    samples = da.arange(n_samples, dtype=np.int16, chunks=-1)
    sound = xr.DataArray(samples, coords=audio_axis(n_samples, rate, start))
    coords = {"time": np.arange(3) / 10, "electrode": text_array(["a", "b", "c"])}
    ieeg = xr.DataArray(np.eye(3), dims=("electrode", "time"), coords=coords)
    return xr.Dataset({"ieeg": ieeg, "audio": finish(sound, "audio")})


def reopened(store: Path, recording: xr.Dataset, label: str = "01") -> xr.Dataset:
    pending = write_part(
        store, "recordings", (label,), recording, fingerprint="f", settings={}, inputs={}
    )
    with dask.config.set(scheduler="synchronous"):
        pending.compute()
    opened = open_cube(store, "recordings", recording=label)
    opened.attrs = recording.attrs
    return opened


@pytest.mark.parametrize("n_samples", [0, 1, 1001])
@pytest.mark.parametrize("start", [0.0, -0.25, 1 / 3])
@pytest.mark.parametrize("rate", [44100.0, 48000 / 1.001])
def test_it_comes_back_identical(tmp_path: Path, n_samples: int, start: float, rate: float) -> None:
    recording = spoken(n_samples, rate, start)
    opened = reopened(tmp_path, recording)
    assert not (tmp_path / "recordings" / "01" / "audio_time").exists()
    assert isinstance(opened.xindexes["audio_time"], RangeIndex)
    assert not isinstance(opened.xindexes["time"], RangeIndex)
    assert dask.is_dask_collection(opened.audio.data)
    xr.testing.assert_identical(opened.compute(), recording.compute())
    np.testing.assert_allclose(
        opened.audio_time, start + np.arange(n_samples) / rate, rtol=0, atol=1e-12
    )


def test_a_stretch_keeps_its_start(tmp_path: Path) -> None:
    recording = spoken(1001, 44100.0, 1 / 3).isel(audio_time=slice(7, 800))
    opened = reopened(tmp_path, recording)
    assert isinstance(opened.xindexes["audio_time"], RangeIndex)
    expected = 1 / 3 + np.arange(7, 800) / 44100
    np.testing.assert_allclose(opened.audio_time, expected, rtol=0, atol=1e-12)
    assert opened.audio_time.attrs == recording.audio_time.attrs


def test_it_is_never_an_array(tmp_path: Path) -> None:
    recording = spoken(10_000_000, 48000.0, -2.5)
    tracemalloc.start()
    try:
        reopened(tmp_path, recording.drop_vars("audio_time"), "02")
        _, without = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        opened = reopened(tmp_path, recording)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < without + 8e6  # the labels would be 80 MB
    assert opened.audio_time[-1].item() == pytest.approx(-2.5 + 9_999_999 / 48000, abs=1e-12)


def test_an_axis_that_start_and_rate_do_not_say_is_stored_as_it_is(tmp_path: Path) -> None:
    recording = spoken(40, 10.0, 0.5)
    uneven = recording.audio_time.values**2
    others = {
        "thinned": recording.isel(audio_time=slice(None, None, 2)),
        "uneven": recording.drop_vars("audio_time").assign_coords(audio_time=uneven),
        "described": recording.copy(),
    }
    others["described"].audio_time.attrs["long_name"] = "time of the second computer"
    for label, other in others.items():
        opened = reopened(tmp_path, other, label)
        np.testing.assert_array_equal(opened.audio_time, other.audio_time)
        assert opened.audio_time.attrs == other.audio_time.attrs
        assert opened.audio.attrs == other.audio.attrs


def test_plain_xarray_opens_audio_without_it(tmp_path: Path) -> None:
    reopened(tmp_path, spoken(40, 10.0, 0.5))
    plain = xr.open_zarr(tmp_path / "recordings" / "01", consolidated=False)
    assert set(plain.coords) == {"electrode", "time"}
    assert plain.audio.sizes == {"audio_time": 40}
    assert (plain.audio.audio_time_start, plain.audio.sampling_frequency) == (0.5, 10.0)
