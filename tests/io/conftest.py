"""Tiny iBIDS folders for the readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_bids import write_recording


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """The NWB file of subject 01 in a folder that the test may damage."""
    return write_recording(tmp_path / "bids")


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects, the second with two runs; read only."""
    root = tmp_path_factory.mktemp("study")
    write_recording(root)
    for run in (1, 2):
        write_recording(root, f"sub-02_task-words_run-{run}", seed=run)
    return root


@pytest.fixture
def edit_tsv() -> Callable[[Path, Callable[[str], str]], None]:
    """Rewrite a text file through a function."""

    def edit(path: Path, change: Callable[[str], str]) -> None:
        before = path.read_text(encoding="utf-8")
        assert change(before) != before
        path.write_text(change(before), encoding="utf-8")

    return edit
