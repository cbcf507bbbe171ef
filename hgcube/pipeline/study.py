"""A store with its settings read and its source files found."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hgcube.config import Analysis, Execution, Source, read_study
from hgcube.embeddings.contents import content_hash
from hgcube.embeddings.stated import Stated
from hgcube.io.bids import RecordingFiles, list_recordings
from hgcube.io.recording import open_recording
from hgcube.store import part_sizes
from hgcube.store.ledger import LEDGER, read_json, write_json


@dataclass(frozen=True)
class Study:
    """What every step is told.

    Parameters
    ----------
    store : path
        The store's folder.
    analysis : Analysis
    execution : Execution
    """

    store: Path
    analysis: Analysis
    execution: Execution
    _sizes: dict[str, dict[str, int]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def source(self) -> Source:
        """Return the source settings with all paths made absolute from the store's folder."""
        stated = self.analysis.source
        paths = ("root", "bad_electrodes", "bad_words", "events", "audio")
        found = {name: getattr(stated, name) for name in paths}
        absolute = {
            name: os.path.normpath(self.store / path) for name, path in found.items() if path
        }
        return stated.model_copy(update=absolute)

    @cached_property
    def recordings(self) -> dict[str, RecordingFiles]:
        """Return the recordings of the study by label."""
        source = self.source
        return list_recordings(source.root, task=source.task, subjects=source.subjects)

    @property
    def subjects(self) -> list[str]:
        """Return the subjects of the study, sorted."""
        return sorted({files.subject for files in self.recordings.values()})

    def recordings_of(self, subject: str) -> list[str]:
        """Return the labels of a subject's recordings, in order."""
        return sorted(label for label, files in self.recordings.items() if files.subject == subject)

    @cached_property
    def stated(self) -> Stated:
        """Return the embeddings of the study, resolved."""
        return Stated(self.analysis.embeddings, self.store)

    @property
    def cache(self) -> Path:
        """Return where vectors are kept; may be deleted at any time."""
        return self.store / "cache" / "embeddings"

    @property
    def fitted_spaces(self) -> list[str]:
        """Return the spaces that results are made of, sorted: those that are one band."""
        return sorted(space for space in self.stated.spaces if len(self.stated.bands(space)) < 2)

    @property
    def unfitted_spaces(self) -> list[str]:
        """Return the other spaces, sorted."""
        return sorted(self.stated.spaces.keys() - set(self.fitted_spaces))

    def sizes(self, label: str) -> dict[str, int]:
        """Return the dims of a recording set, stored or else as its files have them."""
        if stored := part_sizes(self.store, "recordings", (label,)):
            return stored
        if label not in self._sizes:
            with (
                _quiet(),
                open_recording(self.recordings[label], source=self.source) as opened,
            ):
                self._sizes[label] = {str(dim): size for dim, size in opened.sizes.items()}
        return self._sizes[label]

    def sizes_of(self, subject: str) -> dict[str, int]:
        """Return the largest dims among a subject's recordings; words are added up."""
        each = [self.sizes(label) for label in self.recordings_of(subject)]
        largest = {dim: max(sizes.get(dim, 0) for sizes in each) for dim in each[0]}
        return {**largest, "word": sum(sizes["word"] for sizes in each)}


def open_study(store: str | Path, **execution: Any) -> Study:
    """Read a store's ``study.toml``.

    Parameters
    ----------
    store : path
        The store's folder.
    **execution
        Execution settings that override the file's, where not None.

    Returns
    -------
    Study

    Raises
    ------
    SettingsError
        If there is no ``study.toml`` or it asks for something that does not exist.
    """
    folder = Path(store).absolute()
    analysis, stated = read_study(folder / "study.toml")
    given = {name: value for name, value in execution.items() if value is not None}
    return Study(folder, analysis, stated.model_copy(update=given))


@contextmanager
def _quiet() -> Iterator[None]:
    # What a reader has to say is said when the recording is read, not also when it is measured.
    measuring = threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != measuring

    logger = logging.getLogger("hgcube")
    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)


class Identities:
    """Content hashes of source files, taken again only when size or modification time changed.

    Parameters
    ----------
    store : path
        The hashes are kept in its ledger.
    """

    def __init__(self, store: Path) -> None:
        self._path = store / LEDGER / "sources.json"
        self._known = read_json(self._path) if self._path.exists() else {}
        self._changed = False

    def of(self, path: Path) -> str:
        """Return the BLAKE2b of a file's content, or ``"absent"``."""
        if not path.is_file():
            return "absent"
        stat = path.stat()
        known = self._known.get(str(path), {})
        if (known.get("size"), known.get("mtime_ns")) != (stat.st_size, stat.st_mtime_ns):
            known = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "hash": content_hash(path)}
            self._known[str(path)] = known
            self._changed = True
        return str(known["hash"])

    def save(self) -> None:
        """Write what was learned to the ledger."""
        if self._changed:
            write_json(self._path, self._known)
            self._changed = False
