"""The ledger: one JSON document per part, written after the part, saying what it is made of."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hgcube import __version__
from hgcube.errors import StoreError
from hgcube.schema import SCHEMA_VERSION

LEDGER = "ledger"
Key = tuple[str, ...]
Part = tuple[str, Key]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the store knows about one part.

    Parameters
    ----------
    kind : str
        Kind of part.
    key : tuple of str
        Its labels.
    status : str
        ``"done"`` or ``"failed"``.
    fingerprint : str
        Identity of settings and inputs.
    settings : dict
        Settings that changed the part's numbers, by section.
    inputs : dict
        Name of each input to its identity.
    error : str
        Why it failed.
    checksum : str
        BLAKE2b of the sorted file names and contents.
    bytes : int
        On disk.
    seconds : float
        From the building of its graph to its last byte.
    hgcube_version, schema_version, written_at
        By what and when it was written.
    """

    kind: str
    key: Key
    status: Literal["done", "failed"]
    fingerprint: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    error: str = ""
    checksum: str = ""
    bytes: int = 0
    seconds: float = 0.0
    hgcube_version: str = __version__
    schema_version: int = SCHEMA_VERSION
    written_at: str = ""


def part_name(kind: str, key: Key) -> str:
    """Return how a part is called in messages and paths, e.g. ``"epochs/01/mean"``.

    Parameters
    ----------
    kind : str
    key : tuple of str

    Returns
    -------
    str

    Raises
    ------
    StoreError
        If a label could leave the store's folder or hide in it.
    """
    for label in (kind, *key):
        if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", label):
            raise StoreError(
                "labels of letters, digits and . _ + - that start with a letter or digit",
                f"{label!r} in {(kind, *key)}",
                "Rename the subject, space or solver",
            )
    return "/".join((kind, *key))


def write_entry(store: Path, entry: Entry) -> None:
    """Write one line of the ledger; a reader sees the old or the new one, never half.

    Parameters
    ----------
    store : path
    entry : Entry
    """
    path = _place(store, (entry.kind, entry.key))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(path, {**asdict(entry), "written_at": now})


def find_entry(store: str | Path, part: Part) -> Entry | None:
    """Read the line of one part.

    Parameters
    ----------
    store : path
    part : (kind, key)

    Returns
    -------
    Entry or None
        None if the ledger does not know the part.

    Raises
    ------
    StoreError
        If the document is damaged.
    """
    path = _place(Path(store), part)
    return _read_entry(path) if path.exists() else None


def _place(store: Path, part: Part) -> Path:
    return store / LEDGER / f"{part_name(*part)}.json"


def _read_entry(path: Path) -> Entry:
    stored = read_json(path)
    known = {field.name for field in fields(Entry)}
    try:
        return Entry(
            **{**{k: v for k, v in stored.items() if k in known}, "key": tuple(stored["key"])}
        )
    except (KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def read_ledger(store: str | Path) -> dict[Part, Entry]:
    """Read the whole ledger.

    Parameters
    ----------
    store : path

    Returns
    -------
    dict of (kind, key) to Entry
        Sorted.

    Raises
    ------
    StoreError
        If a document is damaged.
    """
    folder = Path(store) / LEDGER
    entries = [_read_entry(path) for path in sorted(folder.glob("*/**/*.json"))]
    return {(entry.kind, entry.key): entry for entry in entries}


def write_json(path: Path, content: object) -> None:
    """Write a JSON document at once: to a temporary name, then renamed.

    Parameters
    ----------
    path : path
    content : object
        JSON-like.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}-{os.getpid()}")
    partial.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON document of the ledger; raise `StoreError` if it is damaged."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    if not isinstance(stored, dict):
        raise _damaged(path, type(stored).__name__)
    return stored


def _damaged(path: Path, found: object) -> StoreError:
    return StoreError(
        f"a ledger document in {path}",
        str(found),
        "Run 'hgcube run': the part is then made again",
    )
