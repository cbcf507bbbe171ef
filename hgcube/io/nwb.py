"""The HDF5 layout of NWB acquisitions ``iEEG``, ``Audio`` and ``Stimulus``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray, CachingFileManager
from xarray.backends.locks import HDF5_LOCK
from xarray.core import indexing

from hgcube.errors import SourceError
from hgcube.io.arrays import Parts, Series, SignalArray
from hgcube.io.bids import RecordingFiles, read_table
from hgcube.io.units import reconcile, volts_per

_LOG = logging.getLogger("hgcube")
_BLOCK = 65_536


class NWBSignal(SignalArray):
    """An NWB series stored as (time, electrode), seen as (electrode, time) in volts."""

    def __init__(self, manager: CachingFileManager[Any], key: str, scale: NDArray[np.float64]):
        n_times, n_electrodes = manager.acquire()[key].shape
        super().__init__((n_electrodes, n_times))
        self.manager, self.key, self.scale = manager, key, scale

    def block(self, electrodes: NDArray[np.intp], start: int, stop: int) -> NDArray[np.float64]:
        """Return volts; only the wanted columns leave the file."""
        wide = len(electrodes) > 0 and np.ptp(electrodes) + 1 == len(electrodes)
        columns: Any = slice(electrodes[0], electrodes[-1] + 1) if wide else electrodes
        with _stored(self.manager, self.key) as dataset:
            stored = dataset[start:stop, columns]
        volts = np.empty(stored.shape[::-1])
        np.multiply(stored.T, self.scale[electrodes, np.newaxis], out=volts)
        return volts


class NWBVector(BackendArray):
    """A one-dimensional series as stored, or the first column of a wider one."""

    def __init__(self, manager: CachingFileManager[Any], key: str) -> None:
        dataset = manager.acquire()[key]
        self.manager, self.key = manager, key
        self.shape, self.dtype, self._wide = dataset.shape[:1], dataset.dtype, dataset.ndim > 1

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read
        )

    def _read(self, key: tuple[Any]) -> Any:
        with _stored(self.manager, self.key) as dataset:
            return dataset[(*key, 0) if self._wide else key]


@contextmanager
def _stored(manager: CachingFileManager[Any], key: str) -> Iterator[Any]:
    try:
        with HDF5_LOCK, manager.acquire_context(needs_lock=False) as file:
            yield file[key]
    except OSError as error:
        raise SourceError(
            f"a whole HDF5 (NWB) file, as when it was opened: {manager!r}",
            str(error),
            "Fetch or write the file again",
        ) from None


def read(files: RecordingFiles) -> Parts:
    """Open an NWB recording; only headers and the stimulus are read.

    Parameters
    ----------
    files : RecordingFiles
        Of an ``.nwb`` file with its channels.tsv.

    Returns
    -------
    Parts

    Raises
    ------
    SourceError
        If the file is missing, truncated or no HDF5, has no ``iEEG`` of (time, electrode), or
        channels.tsv does not fit it.
    """
    manager = _open(files.path)
    try:
        return _read_parts(files, manager)
    except BaseException:
        manager.close()
        raise


def _read_parts(files: RecordingFiles, manager: CachingFileManager[Any]) -> Parts:
    file = manager.acquire()
    ieeg = _series(file, "iEEG", files.path)
    if ieeg is None:
        found = list(file.get("acquisition", {}))
        raise SourceError(
            f"an acquisition 'iEEG' in {files.path}",
            f"{found or 'no acquisition'}",
            "Name the recording 'iEEG' when the file is written",
        )
    table = _column_table(files, ieeg["data"].shape)
    scale, attrs = reconcile(
        table.get("units", pd.Series("", table.index)).tolist(),
        _volts_by_file(ieeg, len(table), files.path),
        table["name"].tolist(),
        files.path,
    )
    start = _start(ieeg)
    return Parts(
        array=NWBSignal(manager, f"{ieeg.name}/data", scale),
        sampling_frequency=_rate(ieeg),
        table=table,
        stored_scale=scale,
        attrs=attrs,
        audio=_audio(file, manager, start, files.path),
        stimulus=_stimulus(file, start, files.path),
        close=manager.close,
    )


def _open(path: Path) -> CachingFileManager[Any]:
    if not path.is_file():
        raise SourceError("an NWB file", f"no file {path}", "Fetch it, or check the path")
    manager = CachingFileManager(h5py.File, str(path), mode="r")
    try:
        manager.acquire()
    except OSError as error:
        raise SourceError(
            f"a whole HDF5 (NWB) file {path}", str(error), "Fetch or write the file again"
        ) from None
    return manager


def _series(file: Any, name: str, path: Path) -> Any | None:
    group = file.get(f"acquisition/{name}")
    if group is None:
        return None
    if not isinstance(group, h5py.Group) or not isinstance(group.get("data"), h5py.Dataset):
        raise SourceError(f"a time series {name!r} in {path}", f"{group!r}", "Write it with pynwb")
    return group


def _column_table(files: RecordingFiles, shape: tuple[int, ...]) -> pd.DataFrame:
    path = files.find("channels.tsv")
    if path is None:
        raise SourceError(
            f"a channels.tsv beside {files.path}", "none", "Add it: it names the electrodes"
        )
    table = read_table(path, ["name"])
    if len(shape) != 2 or shape[1] != len(table):
        raise SourceError(
            f"iEEG of (time, electrode) with one column for each row of {path}",
            f"shape {shape} in {files.path} and {len(table)} rows",
            "Mend channels.tsv so that it lists the columns in their order",
        )
    return table


def _volts_by_file(ieeg: Any, n_columns: int, path: Path) -> NDArray[np.float64] | None:
    """Volts per stored number by the NWB attributes; None when they say nothing."""
    attrs = ieeg["data"].attrs
    conversion = float(attrs.get("conversion", 1.0))
    unit = volts_per(_text(attrs.get("unit", "")))
    if attrs.get("offset", 0.0) != 0.0:
        _LOG.warning("%s: NWB offset %s of iEEG is left out", path, attrs["offset"])
    if unit is None and conversion == 1.0:
        return None
    per_column = np.asarray(ieeg.get("channel_conversion", np.ones(n_columns)), dtype=float)
    return conversion * (1.0 if unit is None else unit) * per_column


def _rate(group: Any) -> float | None:
    if "starting_time" in group and "rate" in group["starting_time"].attrs:
        rate = float(group["starting_time"].attrs["rate"])
        return rate if np.isfinite(rate) and rate > 0 else None
    stamps = group.get("timestamps")
    if stamps is None or len(stamps) < 2:
        return None
    return float((len(stamps) - 1) / (stamps[-1] - stamps[0]))


def _start(group: Any) -> float:
    if "starting_time" in group:
        return float(group["starting_time"][()])
    stamps = group.get("timestamps")
    return float(stamps[0]) if stamps is not None and len(stamps) else 0.0


def _audio(file: Any, manager: CachingFileManager[Any], start: float, path: Path) -> Series | None:
    group = _series(file, "Audio", path)
    if group is None:
        return None
    if group["data"].dtype.kind not in "if":
        raise SourceError(f"numbers as 'Audio' in {path}", str(group["data"].dtype), "Rewrite it")
    if group["data"].ndim > 1:
        _LOG.warning("%s: the first of %d audio tracks is used", path, group["data"].shape[1])
    vector = indexing.LazilyIndexedArray(NWBVector(manager, f"{group.name}/data"))
    return Series(
        values=xr.Variable(("audio_time",), vector),
        sampling_frequency=_rate(group),
        start=_start(group) - start,
    )


def _stimulus(file: Any, start: float, path: Path) -> Series | None:
    group = _series(file, "Stimulus", path)
    if group is None:
        return None
    if group["data"].dtype.kind not in "OSU" or group["data"].ndim != 1:
        raise SourceError(
            f"one text per sample as 'Stimulus' in {path}",
            f"{group['data'].dtype} of shape {group['data'].shape}",
            "Write strings, or take the words from events.tsv and remove it",
        )
    return Series(
        values=_runs(group["data"]), sampling_frequency=_rate(group), start=_start(group) - start
    )


def _runs(stored: Any) -> pd.DataFrame:
    """Run lengths of a text series, in samples: ``first``, ``length``, ``text``."""
    firsts: list[int] = []
    texts: list[str] = []
    for begin in range(0, len(stored), _BLOCK):
        block = np.array([_text(value) for value in stored[begin : begin + _BLOCK]], dtype=object)
        before = texts[-1] if texts else None
        changed = np.flatnonzero(np.concatenate([[before], block[:-1]]) != block)
        firsts.extend(begin + changed)
        texts.extend(block[changed])
    lengths = np.diff([*firsts, len(stored)])
    return pd.DataFrame({"first": firsts, "length": lengths, "text": texts})


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip()
