"""One run at a time on a store."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hgcube.errors import StoreError

LOCK = ".lock"


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store's lock file while the block runs.

    A lock whose process is dead, on this computer, is taken over.

    Parameters
    ----------
    store : path

    Raises
    ------
    StoreError
        If another run holds it, saying which, or the folder cannot be written.
    """
    path = store / LOCK
    own = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if not _taken(path, own):
        holder = _holder(path)
        if _alive(holder):
            raise StoreError(
                f"{path.parent} to be free",
                f"a run since {holder.get('since')} as process {holder.get('pid')} "
                f"on {holder.get('host')}",
                f"Wait for it, or delete {path} if that run is dead",
            )
        path.unlink(missing_ok=True)
        if not _taken(path, own):
            raise StoreError(f"{path} to be free", "another run that was faster", "Wait for it")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _taken(path: Path, own: dict[str, Any]) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(own))
    except FileExistsError:
        return False
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise StoreError(
            f"a store {path.parent} that can be written",
            str(error),
            "Free space, or make the folder writable",
        ) from None
    return True


def _holder(path: Path) -> dict[str, Any]:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _alive(holder: dict[str, Any]) -> bool:
    if holder.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
