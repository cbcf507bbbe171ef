"""Labeled high-gamma cubes, encoding models and what their scores are worth.

Public names are loaded when they are first used, so that ``import hgcube`` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import hgcube.accessor  # noqa: F401 - registers cube.hg

__version__ = "0.1.0"

_HOMES = {
    "embed": "embeddings",
    "encode": "encoding",
    "epoch": "epochs",
    "from_mne": "io",
    "high_gamma": "signal",
    "open_bids": "io",
    "open_cube": "store",
    "open_results": "store",
    "plan": "pipeline",
    "report": "reporting",
    "rereference": "reference",
    "run": "pipeline",
    "simulate": "simulation",
    "status": "pipeline",
    "to_mne": "io",
    "to_padded": "tables",
    "verify": "inference",
    "voice_onsets": "speech",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hgcube' has no attribute {name!r}")
    return getattr(import_module(f"hgcube.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
