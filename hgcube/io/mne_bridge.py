"""BrainVision, EDF, EEGLAB and FIF through MNE-BIDS and MNE, and MNE objects in memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hgcube import names as n
from hgcube.errors import SourceError
from hgcube.io.arrays import Parts, SignalArray
from hgcube.io.audio import read_wav
from hgcube.io.bids import NOT_AVAILABLE, RecordingFiles, read_table
from hgcube.io.events import is_word, read_events
from hgcube.io.recording import build
from hgcube.schema import bad_electrodes, check, sampling_frequency

_LOG = logging.getLogger("hgcube")
_MNE_TYPES = ("seeg", "ecog", "dbs", "eeg")
_NO_BIDS_FORMAT = ".fif"


class RawSignal(SignalArray):
    """An MNE raw object as (electrode, time) in volts; it pickles by path unless preloaded."""

    def __init__(self, raw: Any) -> None:
        super().__init__((len(raw.ch_names), len(raw.times)))
        self.raw = raw

    def block(self, electrodes: NDArray[np.intp], start: int, stop: int) -> NDArray[np.float64]:
        """Return volts, read from the file unless the raw object is preloaded."""
        if not len(electrodes) or stop <= start:
            return np.empty((len(electrodes), stop - start))
        block: NDArray[np.float64] = self.raw.get_data(
            picks=electrodes, start=start, stop=stop, verbose="ERROR"
        )
        return block


def read(files: RecordingFiles) -> Parts:
    """Open a BIDS recording that is not NWB; its signal is not read.

    Parameters
    ----------
    files : RecordingFiles

    Returns
    -------
    Parts
        ``stored_scale`` is 1: MNE scales to volts itself.

    Raises
    ------
    SourceError
        If MNE cannot read the file, or channels.tsv does not name its columns.
    """
    raw = _open(files.path)
    path = files.find("channels.tsv")
    if path is None:
        return _parts(raw, _table(raw))
    return _parts(raw, _joined_table(raw, path, files.path))


def from_mne(
    raw: Any,
    events: object = None,
    *,
    subject: str = "01",
    audio: xr.DataArray | str | Path | None = None,
) -> xr.Dataset:
    """Turn an MNE raw object into a recording set.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Preloaded or not; it is not read here.
    events : pandas.DataFrame, mapping, path, mne.Annotations, optional
        Words: columns ``onset``, ``duration`` (s after the first sample) and ``text``; or a file
        for `read_events`; by default the annotations of `raw`.
    subject : str
        Prefix of the electrode labels.
    audio : xarray.DataArray or path, optional
        Kind ``audio``, or a WAV that began with the recording.

    Returns
    -------
    xarray.Dataset
        ``ieeg`` (electrode, time) in V, ``words`` (word) and maybe ``audio`` (audio_time).

    Raises
    ------
    SourceError
        If `raw` is no raw object, there are no words or no electrodes, or `events` lacks a column.
    """
    if not hasattr(raw, "get_data"):
        raise SourceError(
            "an MNE raw object",
            repr(type(raw).__name__),
            "Open the file with mne.io.read_raw first",
        )
    names = [str(name) for name in raw.filenames if name is not None]
    path = Path(names[0] if names else "raw in memory")
    files = RecordingFiles(
        label=subject, subject=subject, session=None, task=None, run=None, path=path, files=()
    )
    recording = build(_parts(raw, _table(raw)), files, events=_event_table(raw, events))
    if audio is None:
        return recording
    sound = audio if isinstance(audio, xr.DataArray) else read_wav(audio)
    return recording.assign(audio=check(sound, "audio"))


def to_mne(recording: xr.Dataset | xr.DataArray) -> Any:
    """Turn a recording into an MNE raw object in memory.

    Parameters
    ----------
    recording : xarray.Dataset or xarray.DataArray
        A recording set, whose words become annotations, or its ``ieeg`` alone. Loaded here.

    Returns
    -------
    mne.io.RawArray
        In V, with names, types, bad electrodes and line frequency.
    """
    import mne

    ieeg = recording if isinstance(recording, xr.DataArray) else recording["ieeg"]
    check(ieeg, "recording")
    names = [str(name) for name in ieeg[n.NAME if n.NAME in ieeg.coords else n.ELECTRODE].values]
    kinds = ieeg.coords.get(n.TYPE, xr.DataArray(["SEEG"] * len(names))).values
    types = [kind if kind in _MNE_TYPES else "seeg" for kind in map(str.casefold, map(str, kinds))]
    info = mne.create_info(names, sampling_frequency(ieeg), types, verbose="ERROR")
    info["line_freq"] = ieeg.attrs.get(n.LINE_FREQUENCY)
    info["bads"] = [name for name, bad in zip(names, bad_electrodes(ieeg), strict=True) if bad]
    values = ieeg.transpose(n.ELECTRODE, n.TIME).to_numpy().astype(np.float64)
    raw = mne.io.RawArray(values, info, verbose="ERROR")
    if isinstance(recording, xr.Dataset) and "words" in recording:
        words = recording["words"]
        raw.set_annotations(
            mne.Annotations(
                words[n.ONSET].values,
                words[n.DURATION].values,
                [str(word) for word in words.values],
            ),
            verbose="ERROR",
        )
    return raw


def _open(path: Path) -> Any:
    import mne

    if not path.exists():
        raise SourceError("a recording", f"no file {path}", "Fetch it, or check the path")
    try:
        if path.suffix == _NO_BIDS_FORMAT:
            return mne.io.read_raw(path, preload=False, verbose="ERROR")
        import mne_bids

        bids_path = mne_bids.get_bids_path_from_fname(path, verbose="ERROR")
        return mne_bids.read_raw_bids(bids_path, verbose="ERROR")
    except Exception as error:
        raise SourceError(
            f"a file that MNE reads, {path}",
            f"{type(error).__name__}: {error}",
            "Mend the file or its side-cars",
        ) from error


def _parts(raw: Any, table: pd.DataFrame) -> Parts:
    line_frequency = raw.info["line_freq"]
    return Parts(
        array=RawSignal(raw),
        sampling_frequency=float(raw.info["sfreq"]),
        table=table,
        stored_scale=np.ones(len(table)),
        attrs={} if line_frequency is None else {n.LINE_FREQUENCY: float(line_frequency)},
    )


def _joined_table(raw: Any, path: Path, signal: Path) -> pd.DataFrame:
    stated = read_table(path, ["name"])
    missing = [name for name in raw.ch_names if name not in set(stated["name"])]
    if missing or len(stated) != len(raw.ch_names):
        raise SourceError(
            f"a row in {path} for each column of {signal}",
            f"{len(stated)} rows for {len(raw.ch_names)} columns, none for {missing[:3]}",
            "Mend channels.tsv",
        )
    if stated["name"].duplicated().any():
        twice = stated["name"][stated["name"].duplicated()].tolist()
        raise SourceError(f"unique names in {path}", f"{twice} twice", "Rename them")
    table: pd.DataFrame = stated.set_index("name").loc[raw.ch_names].reset_index()
    own = _table(raw)
    table[n.TYPE] = table.get(n.TYPE, own[n.TYPE])
    bad = (own[n.STATUS] == "bad").to_numpy()
    table[n.STATUS] = table.get(n.STATUS, own[n.STATUS]).where(~bad, "bad")
    return table


def _table(raw: Any) -> pd.DataFrame:
    """Say what MNE itself knows of each column; positions in the frame it holds them in."""
    bads = set(raw.info["bads"])
    places = np.array([column["loc"][:3] for column in raw.info["chs"]], dtype=float)
    places[~places.any(axis=1)] = np.nan
    table = pd.DataFrame(
        {
            n.NAME: raw.ch_names,
            n.TYPE: [kind.upper() for kind in raw.get_channel_types()],
            n.STATUS: ["bad" if name in bads else "good" for name in raw.ch_names],
        },
        dtype=object,
    )
    if np.isfinite(places).any():
        table[["x", "y", "z"]] = places
        first = int(np.flatnonzero(np.isfinite(places).all(axis=1))[0])
        table.attrs["space"] = _frame(str(raw.info["chs"][first]["coord_frame"]))
    return table


def _frame(constant: str) -> str:
    """Shorten MNE's ``4 (FIFFV_COORD_HEAD)`` to ``HEAD``."""
    return constant.rpartition("COORD_")[2].rstrip(")") or NOT_AVAILABLE


def _event_table(raw: Any, events: object) -> pd.DataFrame:
    import mne

    if events is None or isinstance(events, mne.Annotations):
        return _annotated(raw, raw.annotations if events is None else events)
    if isinstance(events, str | Path):
        return read_events(events)
    if isinstance(events, Mapping | pd.DataFrame):
        table = pd.DataFrame(events)
        missing = [name for name in (n.ONSET, n.DURATION, n.TEXT) if name not in table]
        if not missing:
            timed: pd.DataFrame = table.reset_index(drop=True)
            return timed
        raise SourceError("events with onset, duration and text", f"none named {missing}", "Add it")
    raise SourceError(
        "events as a DataFrame, mapping, path or mne.Annotations",
        type(events).__name__,
        "Build a DataFrame with onset, duration (s) and text",
    )


def _annotated(raw: Any, annotations: Any) -> pd.DataFrame:
    # Annotations with an origin count from the measurement date, not from the first sample.
    before = raw.first_time if annotations.orig_time is not None else 0.0
    table = pd.DataFrame(
        {
            n.ONSET: annotations.onset - before,
            n.DURATION: annotations.duration,
            n.TEXT: list(map(str, annotations.description)),
        }
    )
    # MNE's own marks are in capitals; "bad" alone is a Dutch word.
    artefact = table[n.TEXT].str.match(r"(BAD|EDGE)([_ ]|$)").astype(bool)
    words: pd.DataFrame = table[is_word(table[n.TEXT]) & ~artefact]
    if len(words) < len(table):
        _LOG.info("%d of %d annotations are no words", len(table) - len(words), len(table))
    numbered: pd.DataFrame = words.reset_index(drop=True)
    return numbered
