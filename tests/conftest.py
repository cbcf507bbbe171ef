"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `shared` when the real recordings and models are not here."""
    if os.environ.get("HGCUBE_SHARED"):
        return
    skip = pytest.mark.skip(reason="HGCUBE_SHARED names no folder of real recordings and models")
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Folder with `data/` and `models/`; only for tests marked `shared`."""
    return Path(os.environ["HGCUBE_SHARED"])


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with an explicit seed."""
    return np.random.default_rng(20260501)
