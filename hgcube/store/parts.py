"""Writing parts: whole chunks to a temporary name, renamed, summed, entered in the ledger."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from dask.delayed import Delayed, delayed
from xarray.indexes import RangeIndex
from zarr.codecs import BloscCodec

from hgcube import __version__, chunks
from hgcube import names as n
from hgcube.errors import StoreError
from hgcube.schema import SCHEMA_VERSION, SPECS, audio_axis, check
from hgcube.store.ledger import Entry, Key, part_name, write_entry

PARTIAL = ".partial-"
_AXIS_TOLERANCE = 1e-12  # s
_COMPRESSED = ("recordings", "high_gamma", "epochs", "features", "results")


@dataclass(frozen=True)
class WholeChunks:
    """A Zarr array to which only whole chunks (shards, if any) can be written.

    Two writers of one chunk lose each other's values without an error, and xarray's own check
    looks at Dask arrays only, so each write is held to the chunk grid where it happens.

    Parameters
    ----------
    path : str
        Of the Zarr group.
    name : str
        Of the array in it.
    dtype : numpy.dtype
        Declared by the stage that computes the values.
    """

    path: str
    name: str
    dtype: np.dtype[Any]

    def __setitem__(self, region: tuple[slice, ...], values: np.ndarray[Any, Any]) -> None:
        """Write `values` at `region`; raise `StoreError` unless it is whole chunks."""
        array = zarr.open_array(f"{self.path}/{self.name}", mode="r+")
        _assert_whole(self.name, region, array)
        if values.dtype != self.dtype:
            raise StoreError(
                f"{self.name} of the declared dtype {self.dtype}",
                f"a block of {values.dtype}",
                "Report this: a stage declares another dtype than it computes",
            )
        with full_disk_is_clear(str(Path(self.path).parent)):
            array[region] = values


def write_part(
    store: str | Path,
    kind: str,
    key: Key,
    cube: xr.DataArray | xr.Dataset,
    *,
    fingerprint: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> Delayed:
    """Prepare the writing of one part; the numbers are computed and written when computed.

    Parameters
    ----------
    store : path
        The store's folder.
    kind, key : str, tuple of str
        The part goes to ``<store>/<kind>/<key...>``.
    cube : xarray.DataArray or xarray.Dataset
        Lazy variables stay lazy; the others and the labels are written at once.
    fingerprint : str
        Identity of `settings` and `inputs`.
    settings, inputs : mapping
        Kept in the ledger, so that the store can say why a part is stale.

    Returns
    -------
    dask.delayed.Delayed
        Of the part's `Entry`. Until it is computed, nothing has the part's final name.

    Raises
    ------
    CubeError
        If a cube of one array lacks what the store demands of its kind.
    StoreError
        If the disk is full or a label is not fit for a path.
    """
    if kind in SPECS and isinstance(cube, xr.DataArray):
        check(cube, kind, stored=True)
    entry = Entry(
        kind=kind,
        key=key,
        status="done",
        fingerprint=fingerprint,
        settings=dict(settings),
        inputs=dict(inputs),
    )
    final = Path(store) / part_name(kind, key)
    partial = final.with_name(f"{PARTIAL}{final.name}-{uuid4().hex[:8]}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    planned = _planned(_dataset(cube, kind), kind).assign_attrs(_provenance(entry))
    with full_disk_is_clear(str(final)):
        writes = _write_lazily(planned, kind, partial)
    finished: Delayed = delayed(_finish, pure=False)(
        Path(store), entry, partial, time.time(), writes
    )
    return finished


def record_failure(store: Path, entry: Entry, reason: str) -> None:
    """Drop the halves of a failed part and say in the ledger why it failed.

    Parameters
    ----------
    store : path
    entry : Entry
        What the part would have been.
    reason : str
        In the user's words.

    Raises
    ------
    StoreError
        If the disk is so full that not even this can be written.
    """
    final = store / part_name(entry.kind, entry.key)
    for partial in final.parent.glob(f"{PARTIAL}{final.name}-*"):
        shutil.rmtree(partial, ignore_errors=True)
    with full_disk_is_clear(str(final)):
        write_entry(store, replace(entry, status="failed", error=reason))


def sweep(store: Path) -> int:
    """Remove what killed runs left behind.

    Parameters
    ----------
    store : path

    Returns
    -------
    int
        Number of leftovers removed.
    """
    leftovers = [path for path in store.rglob(f"{PARTIAL}*") if path.exists()]
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(leftovers)


def checksum(folder: Path) -> tuple[str, int]:
    """Return the BLAKE2b of all file names and contents below `folder`, and their bytes.

    Parameters
    ----------
    folder : path

    Returns
    -------
    tuple of str and int
    """
    digest, total = hashlib.blake2b(digest_size=32), 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
        total += len(content)
    return digest.hexdigest(), total


@contextmanager
def full_disk_is_clear(where: str) -> Iterator[None]:
    """Turn the operating system's "no space left" into a `StoreError` that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreError(
            f"room on the disk for {where}",
            "a full disk; nothing written before is lost",
            "Free some space and run again: only what is missing is made",
        ) from None


def _dataset(cube: xr.DataArray | xr.Dataset, kind: str) -> xr.Dataset:
    dataset = cube.to_dataset(name=cube.name or kind) if isinstance(cube, xr.DataArray) else cube
    texts = {
        name: variable.astype(np.dtypes.StringDType())
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "UO"
    }
    coords = {name: texts.pop(name) for name in dataset.coords if name in texts}
    return _audio_axis_stated(dataset.assign(texts).assign_coords(coords).drop_encoding())


def _audio_axis_stated(dataset: xr.Dataset) -> xr.Dataset:
    """State start and rate of the audio axis where they say all: its labels are 100 MB."""
    index = dataset.xindexes.get(n.AUDIO_TIME)
    if "audio" not in dataset or not isinstance(index, RangeIndex):
        return dataset
    labels, start = dataset[n.AUDIO_TIME], float(index.start)
    rate = float(labels.attrs.get(n.SAMPLING_FREQUENCY, 1 / index.step))
    axis = audio_axis(index.size, rate, start)[n.AUDIO_TIME]
    ends = axis[-1:].values, labels[-1:].values
    if axis.attrs != labels.attrs or not np.allclose(*ends, rtol=0, atol=_AXIS_TOLERANCE):
        return dataset
    stated = {n.AUDIO_TIME_START: start, n.SAMPLING_FREQUENCY: rate}
    return dataset.drop_vars(n.AUDIO_TIME).assign(audio=lambda d: d["audio"].assign_attrs(stated))


def _planned(dataset: xr.Dataset, kind: str) -> xr.Dataset:
    """Cut lazy variables where Zarr will; coordinates are one chunk each."""
    lazy = {
        name: variable.chunk(_chunks_of(kind, str(name), variable, dataset))
        for name, variable in dataset.variables.items()
        if isinstance(variable.data, da.Array)
    }
    return dataset.assign(lazy).set_coords(list(dataset.coords))


def _chunks_of(kind: str, name: str, variable: xr.Variable, dataset: xr.Dataset) -> dict[str, int]:
    sizes = {str(dim): size for dim, size in variable.sizes.items()}
    whole = name in dataset.coords
    return (
        {dim: max(1, s) for dim, s in sizes.items()}
        if whole
        else chunks.plan(kind, sizes, variable.dtype)
    )


def _provenance(entry: Entry) -> dict[str, object]:
    # No time stamp: the same settings and inputs give the same bytes. The ledger has the time.
    return {
        "Conventions": "CF-1.11",
        "history": f"hgcube {__version__} made {part_name(entry.kind, entry.key)}",
        "hgcube_version": __version__,
        "hgcube_schema": SCHEMA_VERSION,
        "hgcube_fingerprint": entry.fingerprint,
        "hgcube_settings": json.dumps(entry.settings, sort_keys=True, default=list),
    }


def _write_lazily(dataset: xr.Dataset, kind: str, partial: Path) -> list[Delayed]:
    encoding = {
        name: _encoding(kind, str(name), variable, dataset)
        for name, variable in dataset.variables.items()
        if variable.ndim
    }
    dataset.to_zarr(
        partial, mode="w-", compute=False, zarr_format=3, consolidated=False, encoding=encoding
    )
    return [
        da.store(
            variable.data,
            WholeChunks(str(partial), str(name), variable.dtype),  # type: ignore[arg-type]
            lock=False,
            compute=False,
        )
        for name, variable in dataset.variables.items()
        if isinstance(variable.data, da.Array)
    ]


def _encoding(kind: str, name: str, variable: xr.Variable, dataset: xr.Dataset) -> dict[str, Any]:
    sizes = _chunks_of(kind, name, variable, dataset)
    encoding: dict[str, Any] = {"chunks": tuple(sizes[str(dim)] for dim in variable.dims)}
    if kind in _COMPRESSED and variable.dtype.kind == "f":
        encoding["compressors"] = BloscCodec(cname="lz4", shuffle="shuffle")
    return encoding


def _finish(store: Path, entry: Entry, partial: Path, started: float, _writes: list[None]) -> Entry:
    final = store / part_name(entry.kind, entry.key)
    with full_disk_is_clear(str(final)):
        digest, size = checksum(partial)
        outdated = final.with_name(f"{PARTIAL}outdated-{final.name}-{uuid4().hex[:8]}")
        if final.exists():
            final.replace(outdated)
        partial.replace(final)
        # Only now: between the two renames nothing slow may happen.
        shutil.rmtree(outdated, ignore_errors=True)
        seconds = round(time.time() - started, 3)
        done = replace(entry, checksum=digest, bytes=size, seconds=seconds)
        write_entry(store, done)
    return done


def _assert_whole(name: str, region: tuple[slice, ...], array: zarr.Array[Any]) -> None:
    grid = array.shards or array.chunks
    for part, step, size in zip(region, grid, array.shape, strict=True):
        start, stop, stride = part.indices(size)
        if start % step or (stop % step and stop != size) or stride != 1:
            raise StoreError(
                f"writes of whole chunks {grid} of {name!r}",
                f"a write of {start}:{stop} along an axis of {size} in steps of {step}",
                "Rechunk to the part's chunks: two writers of one chunk lose values",
            )
