"""What a file holds, as a digest that a process takes once."""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock

_ONE_AT_A_TIME = Lock()


def content_hash(path: Path) -> str:
    """Return the digest of a file's content, taken again only when size or time changed.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        BLAKE2b, 32 hexadecimal digits.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    stat = path.stat()
    with _ONE_AT_A_TIME:
        return _hash(path.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _hash(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, partial(hashlib.blake2b, digest_size=16)).hexdigest()
