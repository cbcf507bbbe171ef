"""A new store: a folder with a commented study.toml."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path

from hgcube.config import PRESETS
from hgcube.errors import SourceError, StoreError, UnknownLabelError


def create(store: str | Path, *, source: str | Path, preset: str = "field") -> Path:
    """Make a store for a BIDS folder.

    Parameters
    ----------
    store : path
        Folder to make; may exist without a ``study.toml``.
    source : path
        BIDS folder; stated in ``study.toml`` as seen from the store.
    preset : str
        A key of `hgcube.config.PRESETS`.

    Returns
    -------
    pathlib.Path
        The ``study.toml``, to be edited.

    Raises
    ------
    StoreError
        If there is a ``study.toml`` already, or it cannot be written.
    SourceError
        If there is no folder `source`.
    UnknownLabelError
        For an unknown preset.
    """
    if preset not in PRESETS:
        raise UnknownLabelError.of("preset", preset, PRESETS)
    if not Path(source).is_dir():
        raise SourceError("a BIDS folder", f"no folder {source}", "Check the path")
    folder = Path(store)
    study = folder / "study.toml"
    if study.exists():
        raise StoreError("a folder without study.toml", str(study), "Edit that one, or delete it")
    root = Path(os.path.relpath(Path(source).absolute(), folder.absolute())).as_posix()
    template = resources.files("hgcube.store").joinpath("study.toml").read_text(encoding="utf-8")
    text = template.replace('preset = "field"', f'preset = "{preset}"', 1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        study.write_text(text.replace('"../../bids"', json.dumps(root), 1), encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"a folder {folder} that can be written", str(error), "Choose another folder"
        ) from None
    return study
