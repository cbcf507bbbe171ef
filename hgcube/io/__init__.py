"""The only place that knows BIDS, NWB and MNE: files in, labeled lazy recordings out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "RecordingFiles": "bids",
    "from_mne": "mne_bridge",
    "list_recordings": "bids",
    "open_bids": "recording",
    "open_recording": "recording",
    "read_events": "events",
    "read_recording": "recording",
    "read_wav": "audio",
    "to_mne": "mne_bridge",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hgcube.io' has no attribute {name!r}")
    return getattr(import_module(f"hgcube.io.{_HOMES[name]}"), name)
