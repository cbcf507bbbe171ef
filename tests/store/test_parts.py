from __future__ import annotations

import errno
import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr

from hgcube.errors import CubeError, OptionError, StoreError, UnknownLabelError
from hgcube.schema import SPECS, finish, text_array
from hgcube.store import open_cube, open_results, parts, read_ledger, sweep, write_part
from hgcube.store.parts import WholeChunks

MADE = {"fingerprint": "f" * 32, "settings": {"signal": {"order": 4}}, "inputs": {"a": "1"}}


def power(
    rng: np.random.Generator, *, n_electrodes: int = 40, n_samples: int = 8192
) -> xr.DataArray:
    labels = [f"01-é{i}" for i in range(n_electrodes)]
    cube = xr.DataArray(
        rng.standard_normal((n_electrodes, n_samples)),
        dims=("electrode", "time"),
        coords={
            "electrode": text_array(labels),
            "name": ("electrode", text_array(labels)),
            "region": ("electrode", text_array(["IFG", ""] * (n_electrodes // 2))),
            "bad": ("electrode", np.arange(n_electrodes) == 3),
            "time": ("time", np.arange(n_samples) / 100, {"sampling_frequency": 100.0}),
            "subject": "01",
        },
    )
    cube[2, 5] = np.nan
    return finish(cube, "high_gamma")


def placed(cube: xr.DataArray, kind: str) -> xr.DataArray:
    """With every coordinate that the store demands."""
    return cube.assign_coords(dict.fromkeys(SPECS[kind].coords, 0.0))


def written(store: Path, cube: xr.DataArray | xr.Dataset, kind: str, key: tuple[str, ...]) -> None:
    with dask.config.set(scheduler="threads"):
        write_part(store, kind, key, cube, **MADE).compute()


def test_a_cube_without_its_place_in_the_study_is_not_stored(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    with pytest.raises(CubeError, match="'region'"):
        written(tmp_path, power(rng).drop_vars("region"), "high_gamma", ("01",))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lazy", [False, True])
def test_a_cube_comes_back_identical(tmp_path: Path, rng: np.random.Generator, lazy: bool) -> None:
    cube = power(rng)
    written(tmp_path, cube.chunk(electrode=7) if lazy else cube, "high_gamma", ("01",))
    opened = open_cube(tmp_path, "high_gamma", recording="01")
    expected = cube.assign_coords(subject=((), np.array("01", dtype=np.dtypes.StringDType())))
    xr.testing.assert_identical(opened.compute(), expected)
    assert opened.chunks == ((16, 16, 8), (8192,))
    assert opened.region.dtype == np.dtypes.StringDType()
    assert not any(dask.is_dask_collection(coord.data) for coord in opened.coords.values())


@pytest.mark.parametrize("dtype", ["U", "O"])
def test_other_text_becomes_strings_of_any_length(tmp_path: Path, dtype: str) -> None:
    cube = xr.DataArray(
        np.eye(2),
        dims=("electrode", "time"),
        coords={
            "electrode": np.array(["a", "bc"], dtype),
            **{name: np.array("STG", dtype) for name in ("region", "name", "subject")},
            "bad": False,
        },
    )
    written(tmp_path, cube, "high_gamma", ("01",))
    opened = open_cube(tmp_path, "high_gamma")
    assert opened.electrode.values.tolist() == ["a", "bc"]
    assert opened.region.item() == "STG"


def test_plain_xarray_opens_a_part(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = power(rng)
    written(tmp_path, cube, "high_gamma", ("01",))
    plain = xr.open_zarr(tmp_path / "high_gamma" / "01", consolidated=False)
    np.testing.assert_array_equal(plain["high_gamma"].values, cube.values)
    assert plain.attrs["hgcube_schema"] == 1
    assert plain.attrs["hgcube_fingerprint"] == MADE["fingerprint"]
    assert plain.attrs["Conventions"].startswith("CF-")
    assert '"order": 4' in plain.attrs["hgcube_settings"]
    stored = zarr.open_array(tmp_path / "high_gamma" / "01" / "high_gamma")
    assert "lz4" in str(stored.compressors)


def test_a_dataset_with_lazy_labels_comes_back_identical(tmp_path: Path) -> None:
    reasons = text_array(["", "flat", "a much longer reason"])
    recording = xr.Dataset(
        {
            "ieeg": (("electrode", "time"), np.eye(3)),
            "words": ("word", text_array(["boot", "reën"])),
            "collapsed": ("electrode", np.array([True, False, True])),
        },
        coords={"electrode": text_array(["a", "b", "c"]), "bad_reason": ("electrode", reasons)},
    )
    lazy = recording.chunk(electrode=1)
    assert dask.is_dask_collection(lazy["bad_reason"].data)
    written(tmp_path, lazy, "recordings", ("01",))
    opened = open_cube(tmp_path, "recordings", recording="01")
    xr.testing.assert_identical(opened.compute().drop_attrs(deep=False), recording)


def test_the_ledger_tells_what_a_part_is(tmp_path: Path, rng: np.random.Generator) -> None:
    written(tmp_path, power(rng), "high_gamma", ("01",))
    entry = read_ledger(tmp_path)["high_gamma", ("01",)]
    folder = tmp_path / "high_gamma" / "01"
    assert (entry.status, entry.error, entry.settings) == ("done", "", MADE["settings"])
    assert entry.inputs == MADE["inputs"]
    assert (entry.checksum, entry.bytes) == parts.checksum(folder)
    assert entry.bytes == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    (folder / "zarr.json").write_text("{}")
    assert parts.checksum(folder)[0] != entry.checksum


def test_the_same_part_has_the_same_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = power(rng).chunk(electrode=5)
    for store in ("first", "second"):
        written(tmp_path / store, cube, "high_gamma", ("01",))
    sums = [parts.checksum(tmp_path / store / "high_gamma") for store in ("first", "second")]
    assert sums[0] == sums[1]


def test_nothing_has_the_final_name_before_it_is_whole(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    pending = write_part(tmp_path, "high_gamma", ("01",), power(rng).chunk(electrode=16), **MADE)
    assert not (tmp_path / "high_gamma" / "01").exists()
    assert not read_ledger(tmp_path)
    assert sweep(tmp_path) == 1
    assert not list((tmp_path / "high_gamma").iterdir())
    del pending


def test_a_part_is_replaced_whole(tmp_path: Path, rng: np.random.Generator) -> None:
    for n_samples in (16, 8):
        written(tmp_path, power(rng, n_samples=n_samples), "high_gamma", ("01",))
    assert open_cube(tmp_path, "high_gamma").sizes["time"] == 8
    assert sweep(tmp_path) == 0


def write_sixteen(path: str, index: int) -> None:
    zarr.open_array(path, mode="r+")[index * 16 : (index + 1) * 16] = np.full((16, 50), index + 1.0)


@pytest.mark.parametrize("shards", [None, (64, 50)])
def test_part_chunk_writes_lose_values_in_plain_zarr_and_raise_in_ours(
    tmp_path: Path, shards: tuple[int, int] | None
) -> None:
    chunks = (16, 50) if shards else (64, 50)
    group = zarr.create_group(tmp_path / "race")
    array = group.create_array("a", shape=(256, 50), chunks=chunks, shards=shards, dtype="f8")
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        lost = 0
        for _ in range(40):
            array[:] = 0
            list(pool.map(write_sixteen, [str(tmp_path / "race" / "a")] * 16, range(16)))
            lost += sum(bool((array[i * 16 : i * 16 + 16] != i + 1).any()) for i in range(16))
            if lost:
                break
    assert lost > 0
    target = WholeChunks(str(tmp_path / "race"), "a", np.dtype("f8"))
    with pytest.raises(StoreError, match=r"whole chunks \(64, 50\)"):
        target[slice(16, 32), slice(0, 50)] = np.ones((16, 50))
    target[slice(64, 128), slice(0, 50)] = np.full((64, 50), 7.0)
    assert (array[64:128] == 7).all()


def test_the_last_chunk_may_be_smaller(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "g").create_array("a", shape=(10,), chunks=(4,), dtype="f8")
    target = WholeChunks(str(tmp_path / "g"), "a", np.dtype("f8"))
    target[(slice(8, 10),)] = np.ones(2)
    with pytest.raises(StoreError, match="8:9"):
        target[(slice(8, 9),)] = np.ones(1)


def test_a_stage_that_computes_another_dtype_than_declared_is_found(tmp_path: Path) -> None:
    wrong = da.ones((4, 4), chunks=2).map_blocks(lambda block: block.astype("f4"), dtype="f8")
    cube = placed(xr.DataArray(wrong, dims=("electrode", "time")), "high_gamma")
    with pytest.raises(StoreError, match="float32"):
        written(tmp_path, cube, "high_gamma", ("01",))


def test_a_full_disk_is_one_clear_error(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, power(rng), "high_gamma", ("01",))
    before = parts.checksum(tmp_path / "high_gamma" / "01")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    pending = write_part(tmp_path, "high_gamma", ("02",), power(rng).chunk(electrode=16), **MADE)
    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(StoreError, match="full disk"), dask.config.set(scheduler="synchronous"):
        pending.compute()
    assert parts.checksum(tmp_path / "high_gamma" / "01") == before
    assert list(read_ledger(tmp_path)) == [("high_gamma", ("01",))]


def test_errors_travel_between_processes() -> None:
    error = StoreError("a", "b", "C")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "Expected a. Got b. C."


@pytest.mark.parametrize("label", ["..", "../out", "/etc", ".hidden", "", "a/b", "a\n"])
def test_labels_cannot_leave_the_store(tmp_path: Path, label: str) -> None:
    cube = placed(xr.DataArray([[1.0]], dims=("electrode", "time")), "high_gamma")
    with pytest.raises(StoreError, match="labels of letters"):
        write_part(tmp_path, "high_gamma", (label,), cube, **MADE)
    assert not list(tmp_path.iterdir())


class TestOpening:
    @pytest.fixture
    def store(self, tmp_path: Path, rng: np.random.Generator) -> Path:
        for subject in ("02", "01"):
            for target in ("windows", "mean"):
                epochs = xr.DataArray(rng.random((3, 2)), dims=("word", "electrode"), name="epochs")
                written(tmp_path, placed(epochs, "epochs"), "epochs", (subject, target))
        return tmp_path

    def test_by_labels(self, store: Path) -> None:
        assert open_cube(store, "epochs", subject="01", target="mean").dims == ("word", "electrode")

    def test_unknown_labels_name_the_closest_and_the_step(self, store: Path) -> None:
        with pytest.raises(UnknownLabelError, match=r"'windows'.*Make it with 'hgcube run"):
            open_cube(store, "epochs", subject="01", target="window")
        with pytest.raises(UnknownLabelError, match=r"Got none. Make it with 'hgcube run"):
            open_cube(store, "results", subject="01")
        with pytest.raises(UnknownLabelError, match="'subject'"):
            open_cube(store, "epochs", subjekt="01")
        with pytest.raises(UnknownLabelError, match="'epochs'"):
            open_cube(store, "epoch")

    def test_several_fitting_parts_are_listed(self, store: Path) -> None:
        with pytest.raises(OptionError, match="01/mean, 01/windows"):
            open_cube(store, "epochs", subject="01")

    def test_another_fingerprint_or_schema_is_refused(self, store: Path) -> None:
        group = zarr.open_group(store / "epochs" / "01" / "mean")
        group.attrs["hgcube_fingerprint"] = "0"
        with pytest.raises(StoreError, match="other settings"):
            open_cube(store, "epochs", subject="01", target="mean")
        group.attrs["hgcube_schema"] = 99
        with pytest.raises(StoreError, match="schema 99"):
            open_cube(store, "epochs", subject="01", target="mean")

    def test_a_removed_part_and_a_damaged_ledger_are_clear_errors(self, store: Path) -> None:
        shutil.rmtree(store / "epochs" / "01" / "mean")
        with pytest.raises(StoreError, match="folder is gone"):
            open_cube(store, "epochs", subject="01", target="mean")
        (store / "ledger" / "epochs" / "01" / "mean.json").write_text("{")
        with pytest.raises(StoreError, match=r"mean\.json"):
            open_cube(store, "epochs", subject="02", target="mean")

    def test_results_by_subject_are_a_sorted_tree(self, store: Path) -> None:
        for subject in ("02", "01"):
            result = xr.Dataset({"skill": (("predictor", "electrode"), np.zeros((1, 2)))})
            written(store, result, "results", (subject, "random", "ridge"))
        tree = open_results(store, by="subject")
        assert list(tree.children) == ["01", "02"]
        assert "skill" in tree["02/random/ridge"]
        with pytest.raises(UnknownLabelError, match=r"tables in the store .* Got none"):
            open_results(store)
        with pytest.raises(OptionError, match="by="):
            open_results(store, by="region")


def test_a_cube_error_is_not_swallowed(tmp_path: Path) -> None:
    def broken(block: np.ndarray) -> np.ndarray:
        raise CubeError("a", "b", "c")

    cube = xr.DataArray(da.ones((4, 4)).map_blocks(broken, dtype=float), dims=("electrode", "time"))
    with pytest.raises(CubeError):
        written(tmp_path, cube, "high_gamma", ("01",))
