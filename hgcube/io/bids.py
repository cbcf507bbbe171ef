"""Walk an iBIDS folder: which recordings there are, and which side-cars belong to each."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgcube.errors import SourceError, UnknownLabelError

if TYPE_CHECKING:
    import pandas as pd

MNE_FORMATS = (".vhdr", ".edf", ".set", ".fif")
FORMATS = (".nwb", *MNE_FORMATS)
NOT_AVAILABLE = "n/a"
_COMPANIONS = (".eeg", ".dat", ".vmrk", ".fdt")
_SIDECARS = ("ieeg.json", "channels.tsv", "events.tsv", "electrodes.tsv", "coordsystem.json")
_LABEL_ENTITIES = ("ses", "task", "acq", "run")


@dataclass(frozen=True, kw_only=True)
class RecordingFiles:
    """One recording and every file whose content matters to it.

    Parameters
    ----------
    label : str
        The subject, or ``"01_ses-1_run-2"`` when the subject has several recordings.
    subject : str
        BIDS label without prefix.
    session, task, run : str or None
        BIDS entities of the file.
    path : pathlib.Path
        The signal file.
    files : tuple of pathlib.Path
        `path`, its companions and side-cars, the more specific later.
    """

    label: str
    subject: str
    session: str | None
    task: str | None
    run: str | None
    path: Path
    files: tuple[Path, ...]

    def find(self, ending: str) -> Path | None:
        """Return the most specific file whose name ends so, or None."""
        return next(iter(reversed(self.find_all(ending))), None)

    def filled(self, template: str) -> str:
        """Return a path with ``{subject}`` and ``{recording}`` filled in."""
        return template.replace("{subject}", self.subject).replace("{recording}", self.label)

    def find_all(self, ending: str) -> list[Path]:
        """Return all files whose names end so, the more specific later."""
        return [path for path in self.files if path.name.endswith(ending)]


def list_recordings(
    root: str | Path, *, task: str | None = None, subjects: Iterable[str] = ()
) -> dict[str, RecordingFiles]:
    """Find the recordings of a BIDS folder without opening them.

    Parameters
    ----------
    root : path
        Folder with ``sub-*/[ses-*/]ieeg/*_ieeg.{nwb,vhdr,edf,set,fif}``.
    task : str, optional
        Only recordings of this task.
    subjects : iterable of str
        Only these subjects, with or without ``sub-``; all by default.

    Returns
    -------
    dict of str to RecordingFiles
        By label, sorted.

    Raises
    ------
    SourceError
        If there is no folder or no recording, a recording comes in two formats, or a file is a
        link that leaves `root`.
    UnknownLabelError
        For a subject or task that is not there, naming the closest.
    """
    root = Path(root)
    if not root.is_dir():
        raise SourceError("a BIDS folder", f"no folder {root}", "Check the path")
    paths = _signal_files(root)
    paths = _only(paths, "sub", [subject.removeprefix("sub-") for subject in subjects], "subject")
    paths = _only(paths, "task", [] if task is None else [task], "task")
    labels = _labels(paths)
    return {labels[path]: _recording_files(root, path, labels[path]) for path in paths}


def find_recording(path: str | Path) -> RecordingFiles:
    """Return the recording that a signal file inside a BIDS folder is.

    Parameters
    ----------
    path : path
        The signal file.

    Returns
    -------
    RecordingFiles

    Raises
    ------
    SourceError
        If the file does not exist or its name or folder is not BIDS.
    """
    path = Path(path)
    if not path.exists():
        raise SourceError("a recording", f"no file {path}", "Check the path")
    subject = entities(path).get("sub")
    folder = next((up for up in path.absolute().parents if up.name == f"sub-{subject}"), None)
    if subject is None or folder is None:
        raise SourceError(
            "a recording inside sub-XX/ of a BIDS folder, named sub-XX_..._ieeg.*",
            str(path),
            "Move it there with its channels.tsv, or read it with MNE and hgcube.from_mne",
        )
    recordings = list_recordings(folder.parent, subjects=[subject])
    for files in recordings.values():
        if files.path.name == path.name and files.path.samefile(path):
            return files
    raise SourceError(
        f"a signal file *_ieeg of a format among {FORMATS}", str(path), "Rename it as BIDS says"
    )


def entities(path: Path) -> dict[str, str]:
    """Return the BIDS entities of a file name: ``sub-01_run-2_ieeg.nwb`` -> sub 01, run 2."""
    pairs = (part.split("-", 1) for part in path.name.split("_") if "-" in part)
    return {key: value.split(".")[0] for key, value in pairs}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON side-car; raise SourceError naming the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SourceError(f"valid JSON in {path}", str(error), "Mend the file") from None
    if not isinstance(content, dict):
        raise SourceError(f"a JSON object in {path}", type(content).__name__, "Mend the file")
    return content


def read_table(path: Path, required: Iterable[str], *, separator: str = "\t") -> pd.DataFrame:
    """Return a table as text, ``n/a`` kept; raise SourceError naming the file.

    Parameters
    ----------
    path : pathlib.Path
    required : iterable of str
        Columns that must be there.
    separator : str

    Returns
    -------
    pandas.DataFrame
        All columns text.
    """
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Without index_col=False a field too many in each row would shift every column.
            table = pd.read_csv(
                path,
                sep=separator,
                keep_default_na=False,
                dtype=str,
                encoding="utf-8-sig",
                index_col=False,
            )
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise SourceError(
            f"a table in UTF-8 in {path}", str(error).strip(), "Mend the file"
        ) from None
    table.columns = table.columns.str.strip()
    missing = [column for column in required if column not in table]
    if missing:
        raise SourceError(
            f"columns {list(required)} in {path}",
            f"{list(table.columns)}",
            f"Add {missing}",
        )
    return table.astype(object).fillna("").apply(_stripped)


def _stripped(column: pd.Series) -> pd.Series:
    return column.str.strip()


def inherited(files: RecordingFiles, ending: str) -> dict[str, Any]:
    """Return the JSON side-cars of a recording merged, the more specific above."""
    merged: dict[str, Any] = {}
    for path in files.find_all(ending):
        merged |= read_json(path)
    return merged


def is_simulated(files: RecordingFiles) -> bool:
    """Say whether dataset_description.json names a simulator.

    Parameters
    ----------
    files : RecordingFiles

    Returns
    -------
    bool
        True for ``"Simulated": true`` (top level or in GeneratedBy) or a GeneratedBy whose
        name says "simulat".
    """
    description = inherited(files, "dataset_description.json")
    makers = description.get("GeneratedBy", [])
    makers = [maker for maker in makers if isinstance(maker, Mapping)]
    named = any("simulat" in str(maker.get("Name", "")).casefold() for maker in makers)
    return named or any(entry.get("Simulated") is True for entry in [description, *makers])


def _signal_files(root: Path) -> list[Path]:
    patterns = ("sub-*/ieeg/*_ieeg.*", "sub-*/ses-*/ieeg/*_ieeg.*")
    paths = [path for pattern in patterns for path in root.glob(pattern)]
    paths = sorted(path for path in paths if path.suffix in FORMATS)
    if not paths:
        raise SourceError(
            "recordings sub-*/[ses-*/]ieeg/*_ieeg.nwb (or .vhdr, .edf, .set, .fif)",
            f"none in {root}",
            "Check the folder, or make one with 'hgcube simulate'",
        )
    for path in paths:
        _stay_inside(path, root)
    return paths


def _stay_inside(path: Path, root: Path) -> None:
    if not path.resolve().is_relative_to(root.resolve()):
        raise SourceError(
            f"files inside {root}", f"{path}, a link to {path.resolve()}", "Copy the file into it"
        )


def _only(paths: list[Path], entity: str, wanted: list[str], what: str) -> list[Path]:
    known = {entities(path).get(entity, "") for path in paths}
    for label in wanted:
        if label not in known:
            raise UnknownLabelError.of(what, label, sorted(known))
    return [path for path in paths if not wanted or entities(path).get(entity) in wanted]


def _labels(paths: list[Path]) -> dict[Path, str]:
    labels: dict[Path, str] = {}
    for subject in dict.fromkeys(entities(path)["sub"] for path in paths):
        own = {path: entities(path) for path in paths if entities(path)["sub"] == subject}
        varying = [
            entity
            for entity in _LABEL_ENTITIES
            if len({found.get(entity) for found in own.values()}) > 1
        ]
        for path, found in own.items():
            parts = [f"{key}-{found[key]}" for key in varying if key in found]
            labels[path] = "_".join([subject, *parts])
    twice = [label for label, count in Counter(labels.values()).items() if count > 1]
    if twice:
        same = [str(path) for path, label in labels.items() if label == twice[0]]
        raise SourceError("one file per recording", " and ".join(same), "Keep one of them")
    return dict(sorted(labels.items(), key=lambda item: item[1]))


def _recording_files(root: Path, path: Path, label: str) -> RecordingFiles:
    found = entities(path)
    sidecars = [sidecar for suffix in _SIDECARS for sidecar in _sidecars(root, path, suffix)]
    companions = [path.with_suffix(extension) for extension in _COMPANIONS]
    files = [path, *companions, root / "dataset_description.json", *sidecars]
    files = [file for file in files if file.exists()]
    for file in files:
        _stay_inside(file, root)
    return RecordingFiles(
        label=label,
        subject=found["sub"],
        session=found.get("ses"),
        task=found.get("task"),
        run=found.get("run"),
        path=path,
        files=tuple(files),
    )


def _sidecars(root: Path, path: Path, suffix: str) -> list[Path]:
    """Side-cars by BIDS inheritance: in a folder above, naming no other entity value."""
    own = entities(path).items()
    applicable = [
        candidate
        for folder in _folders(root, path)
        for candidate in folder.glob(f"*{suffix}")
        if candidate.name == suffix or candidate.name.endswith(f"_{suffix}")
        if {(k, v) for k, v in entities(candidate).items() if k != "space"} <= set(own)
    ]
    return sorted(applicable, key=lambda file: (len(file.parts), len(entities(file)), file.name))


def _folders(root: Path, path: Path) -> Iterator[Path]:
    yield root
    folder = root
    for part in path.parent.relative_to(root).parts:
        folder = folder / part
        yield folder
