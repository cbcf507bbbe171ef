"""One run at a time; a store that cannot be written says so and keeps no half a lock."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from hgcube.errors import StoreError
from hgcube.store import locked
from hgcube.store.lock import LOCK


def test_a_second_run_is_told_who_holds_the_store(tmp_path: Path) -> None:
    with locked(tmp_path):
        refused = pytest.raises(StoreError, match=f"as process {os.getpid()}")
        with refused, locked(tmp_path):
            pass
    assert not (tmp_path / LOCK).exists()


def test_a_full_disk_leaves_no_lock_without_a_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_document: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(json, "dumps", full)
        with pytest.raises(StoreError, match="No space left on device"), locked(tmp_path):
            pass
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()


def test_a_folder_that_is_gone_or_read_only_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="nowhere that can be written"),
        locked(tmp_path / "nowhere"),
    ):
        pass
