"""One NWB file, written with h5py in blocks.

pynwb would stamp every file with random identifiers and the time of day; written by hand the
bytes follow from the seed, and no electrode but those of one block is in memory.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_VERSION = "2.8.0"
_DAY = "2022-01-01T00:00:00+00:00"
_GROUPS = (
    "acquisition",
    "analysis",
    "general",
    "processing",
    "stimulus/presentation",
    "stimulus/templates",
)
_TIME_CHUNK = 8192


@contextmanager
def nwb_file(path: Path, identifier: str) -> Iterator[Any]:
    """Open a new NWB file, filled with everything that NWB demands but the series."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = _VERSION
        _mark(file, "NWBFile", identifier)
        for group in _GROUPS:
            file.create_group(group)
        texts = {
            "identifier": identifier,
            "session_description": "simulated reading of single words",
            "session_start_time": _DAY,
            "timestamps_reference_time": _DAY,
        }
        for name, text in texts.items():
            file.create_dataset(name, data=text, dtype=h5py.string_dtype())
        file.create_dataset("file_create_date", data=[_DAY], dtype=h5py.string_dtype())
        yield file


def write_electrodes(
    file: Any, shape: tuple[int, int], rate: float, blocks: Iterable[np.ndarray[Any, Any]]
) -> None:
    """Write the acquisition ``iEEG`` (time x electrode, float64, stored in µV).

    Parameters
    ----------
    file : h5py.File
    shape : tuple of int
        Samples and electrodes.
    rate : float
        In Hz.
    blocks : iterable of ndarray (samples, electrodes of the block)
        In order, all but the last of one width, which becomes the chunk.
    """
    start, series = 0, None
    for block in blocks:
        if series is None:
            chunks = (min(_TIME_CHUNK, shape[0]), block.shape[1])
            series = _series(file, "iEEG", rate, shape=shape, dtype="f8", chunks=chunks)
            series.attrs.update(unit="volts", conversion=1e-6)
        series[:, start : start + block.shape[1]] = block
        start += block.shape[1]


def write_audio(file: Any, sound: np.ndarray[Any, np.dtype[np.int16]], rate: float) -> None:
    """Write the acquisition ``Audio`` (int16)."""
    _series(file, "Audio", rate, data=sound)


def write_stimulus(
    file: Any, texts: Iterable[str], starts: Iterable[int], stops: Iterable[int], n_samples: int
) -> None:
    """Write the acquisition ``Stimulus``: per iEEG sample the word shown, or an empty string."""
    import h5py

    shown = np.full(n_samples, b"", dtype=object)
    for text, start, stop in zip(texts, starts, stops, strict=True):
        shown[start:stop] = text.encode()
    rate = file["acquisition/iEEG/starting_time"].attrs["rate"]
    _series(file, "Stimulus", rate, data=shown, dtype=h5py.string_dtype())


def _series(file: Any, name: str, rate: float, **content: Any) -> Any:
    group = file["acquisition"].create_group(name)
    _mark(group, "TimeSeries", f"{file['identifier'].asstr()[()]}/{name}")
    group.attrs.update(description=name, comments="simulated by hgcube")
    values = group.create_dataset("data", **content)
    values.attrs.update(unit="n/a", conversion=1.0, resolution=-1.0, offset=0.0)
    start = group.create_dataset("starting_time", data=0.0)
    start.attrs.update(rate=float(rate), unit="seconds")
    return values


def _mark(group: Any, kind: str, identifier: str) -> None:
    object_id = str(uuid.uuid5(uuid.NAMESPACE_URL, identifier))
    group.attrs.update(namespace="core", neurodata_type=kind, object_id=object_id)
