"""A store is a folder: study.toml, its parts as Zarr groups, and a ledger of what they are."""

from __future__ import annotations

from hgcube.store.creating import create
from hgcube.store.ledger import Entry, Key, Part, find_entry, part_name, read_ledger
from hgcube.store.lock import locked
from hgcube.store.opening import KEYS, open_cube, open_part, open_results, part_sizes
from hgcube.store.parts import WholeChunks, record_failure, sweep, write_part

__all__ = [
    "KEYS",
    "Entry",
    "Key",
    "Part",
    "WholeChunks",
    "create",
    "find_entry",
    "locked",
    "open_cube",
    "open_part",
    "open_results",
    "part_name",
    "part_sizes",
    "read_ledger",
    "record_failure",
    "sweep",
    "write_part",
]
