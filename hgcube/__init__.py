"""Labeled high-gamma cubes, encoding models and what their scores are worth.

Public names are loaded when they are first used, so that ``import hgcube`` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import hgcube.accessor  # noqa: F401 - registers cube.hg

if TYPE_CHECKING:
    from hgcube import views as views
    from hgcube.embeddings import embed as embed
    from hgcube.encoding import encode as encode
    from hgcube.epochs import epoch as epoch
    from hgcube.inference import verify as verify
    from hgcube.io import from_mne as from_mne
    from hgcube.io import open_bids as open_bids
    from hgcube.io import to_mne as to_mne
    from hgcube.pipeline import plan as plan
    from hgcube.pipeline import run as run
    from hgcube.pipeline import status as status
    from hgcube.reference import rereference as rereference
    from hgcube.reporting import report as report
    from hgcube.signal import high_gamma as high_gamma
    from hgcube.simulation import simulate as simulate
    from hgcube.speech import voice_onsets as voice_onsets
    from hgcube.store import open_cube as open_cube
    from hgcube.store import open_results as open_results
    from hgcube.tables import to_padded as to_padded

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

__all__ = ["__version__", "views", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name == "views":
        return import_module("hgcube.views")
    if name not in _HOMES:
        raise AttributeError(f"module 'hgcube' has no attribute {name!r}")
    return getattr(import_module(f"hgcube.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
