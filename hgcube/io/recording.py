"""From the files of one recording to its labeled, lazy recording set."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.chunks import ELECTRODES_PER_BLOCK
from hgcube.errors import SourceError
from hgcube.io.arrays import Parts
from hgcube.io.audio import audio_cube, guess_rate, read_wav
from hgcube.io.bad_tables import mark_electrodes, mark_words
from hgcube.io.bids import RecordingFiles, inherited, is_simulated
from hgcube.io.electrodes import electrode_coords, electrode_rows, joined
from hgcube.io.events import agreed_words, bids_words, read_events, stimulus_words, words_cube
from hgcube.io.units import implausible
from hgcube.schema import finish

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from hgcube.config import Source

_LOG = logging.getLogger("hgcube")
_SAMPLE_SECONDS = 2.0


def open_bids(
    root: str | Path,
    *,
    task: str | None = None,
    subjects: Iterable[str] = (),
    events: str | None = None,
) -> xr.DataTree:
    """Open all recordings of a BIDS folder, on Dask in chunks of 16 electrodes x all time.

    The same as ``xr.open_datatree(root, engine="ibids")``, whose signals are lazy without Dask
    (and whose coordinates become Dask arrays too when it is given ``chunks={}``).

    Parameters
    ----------
    root : path
        BIDS folder with intracranial recordings.
    task : str, optional
        Only recordings of this task.
    subjects : iterable of str
        Only these subjects.
    events : str, optional
        Own table of words (see `hgcube.io.read_events`) where the folder has none; ``{subject}``
        and ``{recording}`` are filled in.

    Returns
    -------
    xarray.DataTree
        One child a recording, by label: ``ieeg`` (electrode, time) in V, ``audio``
        (audio_time), ``words`` (word).

    Raises
    ------
    SourceError
        For a file that is missing, unreadable or contradicts its side-cars.
    UnknownLabelError
        For an unknown subject or task.
    """
    from hgcube.io.engines import IBIDSEntrypoint

    tree = xr.open_datatree(
        root, engine=IBIDSEntrypoint, task=task, subjects=tuple(subjects), events=events
    )
    return xr.DataTree.from_dict(
        {label: _on_dask(child.to_dataset()) for label, child in tree.children.items()}
    )


def open_recording(files: RecordingFiles, *, source: Source) -> xr.Dataset:
    """Open one recording as a study's settings say, on Dask.

    Parameters
    ----------
    files : RecordingFiles
    source : hgcube.config.Source
        ``events``, ``audio``, ``bad_electrodes``, ``bad_words`` are paths, in which
        ``{subject}`` and ``{recording}`` stand for the recording at hand.

    Returns
    -------
    xarray.Dataset
        Recording set in chunks of 16 electrodes x all time; coordinates in memory.

    Raises
    ------
    SourceError
        For a file that is missing, unreadable or contradicts its side-cars.
    UnknownLabelError
        For a name in a bad table that the recording does not have.
    """
    events = None if source.events is None else read_events(files.filled(source.events))
    recording = read_recording(files, events=events)
    if source.audio is not None:
        sound = read_wav(files.filled(source.audio), offset=source.audio_offset)
        recording = recording.drop_vars(["audio", n.AUDIO_TIME], errors="ignore")
        recording = recording.assign(audio=sound)
    if source.bad_electrodes is not None:
        recording = mark_electrodes(recording, files.filled(source.bad_electrodes))
    if source.bad_words is not None:
        recording = mark_words(recording, files.filled(source.bad_words))
    if source.line_frequency is not None:
        recording["ieeg"].attrs[n.LINE_FREQUENCY] = source.line_frequency
    return _on_dask(recording)


def read_recording(files: RecordingFiles, *, events: pd.DataFrame | None = None) -> xr.Dataset:
    """Open one recording, lazily without Dask.

    Parameters
    ----------
    files : RecordingFiles
    events : pandas.DataFrame, optional
        ``onset``, ``duration`` (s), ``text``; by default events.tsv checked against Stimulus.

    Returns
    -------
    xarray.Dataset
        ``ieeg`` (electrode, time) in V, ``audio`` (audio_time) where there is one, ``words``.

    Raises
    ------
    SourceError
        For a file that is missing, unreadable or contradicts its side-cars.
    """
    if files.path.suffix == ".nwb":
        from hgcube.io.nwb import read
    else:
        from hgcube.io.mne_bridge import read
    parts = read(files)
    try:
        return build(parts, files, events=events)
    except BaseException:
        if parts.close is not None:
            parts.close()
        raise


def build(parts: Parts, files: RecordingFiles, *, events: pd.DataFrame | None) -> xr.Dataset:
    """Label what a reader of one format found.

    Parameters
    ----------
    parts : Parts
    files : RecordingFiles
    events : pandas.DataFrame or None

    Returns
    -------
    xarray.Dataset
        Recording set.
    """
    settings = inherited(files, "ieeg.json")
    rate = _agreed_rate(parts, settings, files.path)
    simulated = {n.SIMULATED: True} if is_simulated(files) else {}
    ieeg = _ieeg(parts, files, rate, {**_line_frequency(settings), **simulated})
    end = ieeg.sizes[n.TIME] / rate
    variables = {"ieeg": ieeg, "words": _words(parts, files, events, rate, end)}
    if parts.audio is None:
        _LOG.info("%s: no audio", files.path)
    else:
        audio_rate = parts.audio.sampling_frequency
        audio_rate = audio_rate or guess_rate(parts.audio.values.size, end, files.path)
        variables["audio"] = audio_cube(parts.audio.values, audio_rate, parts.audio.start)
    stated: dict[str, Any] = {
        n.SUBJECT: files.subject,
        "recording": files.label,
        "session": files.session,
    }
    stated |= {"task": files.task, "run": files.run, **simulated}
    attrs = {key: value for key, value in stated.items() if value is not None}
    recording = xr.Dataset(variables, attrs=attrs)
    recording["ieeg"].encoding["preferred_chunks"] = _preferred_chunks(ieeg)
    recording.set_close(parts.close)
    return recording


def _ieeg(parts: Parts, files: RecordingFiles, rate: float, attrs: dict[str, Any]) -> xr.DataArray:
    rows = electrode_rows(parts.table, files.path)
    table = parts.table[rows].reset_index(drop=True)
    variable = parts.variable()
    if not rows.all():
        variable = variable.isel({n.ELECTRODE: np.flatnonzero(rows)})
    warned = implausible(_sample(variable, rate), table["name"].tolist(), files.path)
    both = "; ".join(filter(None, [parts.attrs.get("unit_warning"), warned.get("unit_warning")]))
    coords = electrode_coords(
        joined(table, files), files.subject, np.asarray(parts.stored_scale)[rows]
    )
    seconds = np.arange(variable.sizes[n.TIME]) / rate
    coords[n.TIME] = xr.Variable(
        (n.TIME,), seconds, {"units": n.SECOND, n.SAMPLING_FREQUENCY: rate}
    )
    own = {**parts.attrs, **attrs, **({"unit_warning": both} if both else {})}
    return finish(xr.DataArray(variable, coords=coords), "recording", attrs=own)


def _words(
    parts: Parts,
    files: RecordingFiles,
    events: pd.DataFrame | None,
    rate: float,
    end: float,
) -> xr.DataArray:
    tolerance = 1.0 / rate
    path = files.find("events.tsv")
    if events is not None:
        words, attrs = agreed_words(events, None, tolerance, files.path)
    else:
        listed = None if path is None else bids_words(path)
        shown = None if parts.stimulus is None else stimulus_words(parts.stimulus, rate)
        words, attrs = agreed_words(listed, shown, 1.001 * tolerance, files.path)
    entities = {"ses": files.session, "run": files.run}
    run = "_".join(f"{key}-{value}" for key, value in entities.items() if value is not None)
    return words_cube(words, end=end, tolerance=tolerance, path=files.path, run=run, attrs=attrs)


def _agreed_rate(parts: Parts, settings: dict[str, Any], path: Path) -> float:
    """Take the file's own rate, without one that of the side-cars, and log disagreement."""
    stated = {
        "the signal file": parts.sampling_frequency,
        "ieeg.json": _positive(settings.get("SamplingFrequency")),
        "channels.tsv": _positive(next(iter(parts.table.get(n.SAMPLING_FREQUENCY, [])), None)),
    }
    rates = {where: rate for where, rate in stated.items() if rate is not None}
    if not rates:
        raise SourceError(
            f"a sampling frequency of {path}",
            "none in the file, ieeg.json or channels.tsv",
            "Add SamplingFrequency to ieeg.json",
        )
    chosen, rate = next(iter(rates.items()))
    if any(abs(other - rate) > 1e-4 * rate for other in rates.values()):
        _LOG.warning(
            "%s: sampling frequencies differ (%s); that of %s was taken", path, rates, chosen
        )
    return rate


def _line_frequency(settings: dict[str, Any]) -> dict[str, float]:
    frequency = _positive(settings.get("PowerLineFrequency"))
    return {} if frequency is None else {n.LINE_FREQUENCY: frequency}


def _positive(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if np.isfinite(number) and number > 0 else None


def _sample(variable: xr.Variable, rate: float) -> Any:
    size = variable.sizes[n.TIME]
    half = int(min(size, np.ceil(_SAMPLE_SECONDS * rate)) // 2)
    return variable.isel({n.TIME: slice(size // 2 - half, size // 2 + half + 1)}).values


def _preferred_chunks(ieeg: xr.DataArray) -> dict[str, int]:
    electrodes = min(ELECTRODES_PER_BLOCK, ieeg.sizes[n.ELECTRODE])
    return {n.ELECTRODE: electrodes, n.TIME: ieeg.sizes[n.TIME]}


def _on_dask(recording: xr.Dataset) -> xr.Dataset:
    """Chunk the signals only: Dask coordinates cannot be queried.

    The file closes itself when the last array that reads it is gone.
    """
    variables = {name: recording.variables[name] for name in ("ieeg", "audio") if name in recording}
    return recording.assign(
        {
            name: variable.chunk(variable.encoding.get("preferred_chunks", dict(variable.sizes)))
            for name, variable in variables.items()
        }
    )
