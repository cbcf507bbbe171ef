"""Opening parts: by labels, lazily, and only if ledger and part say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, overload

import xarray as xr

from hgcube import names as n
from hgcube import schema
from hgcube.errors import OptionError, StoreError, UnknownLabelError
from hgcube.schema import SCHEMA_VERSION
from hgcube.store.ledger import Entry, Key, find_entry, part_name, read_ledger

KEYS: dict[str, tuple[str, ...]] = {
    "recordings": ("recording",),
    "high_gamma": ("recording",),
    "epochs": ("subject", "target"),
    "features": ("space", "subject"),
    "results": ("subject", "space", "solver"),
    "tables": ("table",),
    "verdicts": ("over",),
}
"""Names of the labels of each kind of part, in the order of its path."""


@overload
def open_cube(
    store: str | Path, kind: Literal["high_gamma", "epochs", "features"], **key: str
) -> xr.DataArray: ...


@overload
def open_cube(
    store: str | Path,
    kind: Literal["recordings", "results", "tables", "verdicts"],
    **key: str,
) -> xr.Dataset: ...


@overload
def open_cube(store: str | Path, kind: str, **key: str) -> xr.DataArray | xr.Dataset: ...


def open_cube(store: str | Path, kind: str, **key: str) -> xr.DataArray | xr.Dataset:
    """Open one part of a store, lazily.

    Parameters
    ----------
    store : path
        The store's folder.
    kind : str
        ``"recordings"``, ``"high_gamma"``, ``"epochs"``, ``"features"``, ``"results"``,
        ``"tables"`` or ``"verdicts"``.
    **key
        Its labels, such as ``subject="04", target="mean"`` (see `KEYS`). A label may be left out
        where only one part fits the others.

    Returns
    -------
    xarray.DataArray or xarray.Dataset
        A DataArray for kinds that are a single array. Coordinates and text are loaded, the rest
        is lazy and cut as on disk.

    Raises
    ------
    UnknownLabelError
        If there is no such part, naming the closest labels and the step that makes it.
    StoreError
        If the part failed, or was made by another schema or other settings than the ledger says.
    """
    return open_part(store, kind, _key_of(store, kind, key))


@overload
def open_results(
    store: str | Path, by: Literal["electrode", "word"] = "electrode"
) -> xr.Dataset: ...


@overload
def open_results(store: str | Path, by: Literal["subject"]) -> xr.DataTree: ...


def open_results(
    store: str | Path, by: Literal["electrode", "word", "subject"] = "electrode"
) -> xr.Dataset | xr.DataTree:
    """Open the results of a whole study.

    Parameters
    ----------
    store : path
        The store's folder.
    by : str
        ``"electrode"`` or ``"word"``: the flat table over all subjects, a Dataset.
        ``"subject"``: a DataTree of subject / space / solver.

    Returns
    -------
    xarray.Dataset or xarray.DataTree

    Raises
    ------
    UnknownLabelError
        If no results were made yet.
    OptionError
        If `by` is something else.

    Examples
    --------
    ``hgcube.open_results(store).hg.sel(subject="04", region=["IFG", "STG"])``
    """
    if by in ("electrode", "word"):
        table = open_part(store, "tables", _key_of(store, "tables", {"table": f"{by}s"}))
        return table if isinstance(table, xr.Dataset) else table.to_dataset()
    if by != "subject":
        raise OptionError("by='electrode', 'word' or 'subject'", repr(by), "Use one of them")
    ledger = read_ledger(store)
    found = [key for (kind, key), e in ledger.items() if kind == "results" and e.status == "done"]
    if not found:
        raise _unknown(store, "subject", "results", "", [])
    parts = {"/".join(key): _whole(open_part(store, "results", key)) for key in found}
    return xr.DataTree.from_dict(parts)


def open_part(store: str | Path, kind: str, key: Key) -> xr.DataArray | xr.Dataset:
    """Open one part by its exact key; see `open_cube`.

    Parameters
    ----------
    store : path
    kind : str
    key : tuple of str

    Returns
    -------
    xarray.DataArray or xarray.Dataset

    Raises
    ------
    StoreError
        If the part is not there, failed, or is not what the ledger says.
    """
    name = part_name(kind, key)
    path = Path(store) / name
    entry = find_entry(store, (kind, key))
    if entry is None:
        raise StoreError(
            f"{name} in {store}", "no such part in the ledger", "Make it: 'hgcube run'"
        )
    if entry.status != "done" or not path.is_dir():
        raise StoreError(
            f"{name} in {store}", entry.error or "its folder is gone", "Mend it and 'hgcube run' it"
        )
    opened = xr.open_zarr(path, chunks=None, consolidated=False)
    _check_identity(opened, entry, name)
    lazy = {variable: _cut(opened[variable].variable) for variable in opened.data_vars}
    loaded = opened.assign_coords(opened.coords.to_dataset().load().coords)
    dataset = _with_audio_axis(loaded.assign(lazy))
    if len(lazy) == 1 and kind in schema.SPECS:
        (only,) = dataset.data_vars.values()
        return only
    return dataset


def part_sizes(store: str | Path, kind: str, key: Key) -> dict[str, int]:
    """Return the dims of a stored part from its documents alone; none if it is not there.

    Parameters
    ----------
    store : path
    kind : str
    key : tuple of str

    Returns
    -------
    dict of str to int
    """
    sizes: dict[str, int] = {}
    for path in (Path(store) / part_name(kind, key)).glob("*/zarr.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        sizes |= dict(zip(document.get("dimension_names") or (), document["shape"], strict=True))
    return sizes


def _whole(cube: xr.DataArray | xr.Dataset) -> xr.Dataset:
    return cube if isinstance(cube, xr.Dataset) else cube.to_dataset()


def _key_of(store: str | Path, kind: str, key: dict[str, str]) -> Key:
    if kind not in KEYS:
        raise UnknownLabelError.of("kind of part", kind, KEYS)
    if not Path(store).is_dir():
        raise StoreError("the folder of a store", f"no folder {store}", "Check the path")
    for name in key:
        if name not in KEYS[kind]:
            raise UnknownLabelError.of(f"label of {kind!r}", name, KEYS[kind])
    fitting = [found for known, found in read_ledger(store) if known == kind]
    for position, name in enumerate(KEYS[kind]):
        known = sorted({found[position] for found in fitting})
        fitting = [found for found in fitting if key.get(name, found[position]) == found[position]]
        if not fitting:
            raise _unknown(store, name, kind, key.get(name, ""), known)
    if len(fitting) > 1:
        raise OptionError(
            f"labels {KEYS[kind]} that name one part of {kind!r}",
            f"{key}, which fits {len(fitting)}",
            f"Say which: {', '.join('/'.join(found) for found in fitting[:8])}",
        )
    return fitting[0]


def _unknown(
    store: str | Path, label: str, kind: str, got: str, known: list[str]
) -> UnknownLabelError:
    make = f"Make it with 'hgcube run {store}'"
    if not known:
        return UnknownLabelError(f"{kind} in the store {store}", "none", make)
    error = UnknownLabelError.of(f"{label} of {kind!r}", got, known)
    return UnknownLabelError(error.expected, error.got, f"{error.do} If it is right: {make}")


def _check_identity(opened: xr.Dataset, entry: Entry, name: str) -> None:
    found = opened.attrs.get("hgcube_schema")
    if found != SCHEMA_VERSION:
        raise StoreError(
            f"{name} in schema {SCHEMA_VERSION}",
            f"schema {found} by hgcube {opened.attrs.get('hgcube_version')}",
            "Run 'hgcube run' again, or open it with that version",
        )
    stored = opened.attrs.get("hgcube_fingerprint")
    if stored != entry.fingerprint:
        raise StoreError(
            f"{name} with the ledger's fingerprint {entry.fingerprint}",
            f"a part with {stored}",
            "It was made by other settings or copied in by hand: run 'hgcube run' again",
        )


def _with_audio_axis(dataset: xr.Dataset) -> xr.Dataset:
    """Make the axis that the attributes of the audio state, as a range."""
    if "audio" not in dataset or n.AUDIO_TIME_START not in dataset["audio"].attrs:
        return dataset
    audio = dataset["audio"]
    start, rate = (audio.attrs.pop(name) for name in (n.AUDIO_TIME_START, n.SAMPLING_FREQUENCY))
    return dataset.assign_coords(schema.audio_axis(audio.size, rate, start))


def _cut(variable: xr.Variable) -> xr.Variable:
    # Text is labels: small, and of no use to anyone as a task.
    if not variable.ndim or variable.dtype.kind == "T":
        return variable.load()
    # A chunk of a shard is not what tasks should read: that is 30 times the tasks.
    stored = variable.encoding.get("shards") or variable.encoding["chunks"]
    return variable.chunk(dict(zip(variable.dims, stored, strict=True)))
