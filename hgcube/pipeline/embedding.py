"""One embedding of a study: stated in study.toml, and made without the rest."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hgcube.config import read_study
from hgcube.embeddings.protocol import factory_of
from hgcube.embeddings.stated import PATHS
from hgcube.errors import SettingsError, StoreError
from hgcube.pipeline.checking import check_study
from hgcube.pipeline.running import Outcome, run_steps
from hgcube.pipeline.steps import STEPS, Step
from hgcube.pipeline.study import Study, open_study
from hgcube.store import Key


def embed_study(
    store: str | Path,
    embedding: str,
    stated: Mapping[str, Any],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> Outcome:
    """Make the features of one embedding, stated in ``study.toml`` first if it is not there.

    Parameters
    ----------
    store : path
        Folder with ``study.toml``.
    embedding : str
        NAME of ``[embeddings.NAME]``.
    stated : mapping
        ``family``, ``model``, ``layers`` and so on: written there with NAME; of one that is there
        they must be what it says. A ``model`` that is a path is seen from the working folder.
    workers, scheduler, progress
        As `hgcube.run`.

    Returns
    -------
    Outcome
        Of the steps up to ``features``, of this embedding alone.

    Raises
    ------
    SettingsError
        If ``study.toml`` says something else of NAME.
    UnknownLabelError, OptionError, SourceError, MissingExtraError
        If it asks for what does not exist; ``study.toml`` is not changed then.
    """
    study = open_study(store, workers=workers, scheduler=scheduler)
    stated = {name: _from_store(study.store, name, value) for name, value in stated.items()}
    if embedding in study.analysis.embeddings:
        _refuse_others(study, embedding, stated)
    else:
        study = _with(study, embedding, stated)
        check_study(study)
        _append(study.store / "study.toml", embedding, stated)
    check_study(study)
    steps = [_only(step, embedding) if step.kind == "features" else step for step in STEPS]
    return run_steps(study, steps, only=("recordings", "features"), progress=progress)


def _from_store(store: Path, name: str, value: Any) -> Any:
    """Return a path as study.toml has it: seen from the store."""
    if name not in PATHS or Path(value).is_absolute() or not Path(value).exists():
        return value
    return Path(os.path.relpath(Path(value).absolute(), store)).as_posix()


def _refuse_others(study: Study, embedding: str, stated: Mapping[str, Any]) -> None:
    there = {"family": embedding, **study.analysis.embeddings[embedding]}
    for name, value in stated.items():
        if name in PATHS and (study.store / value).exists() and name in there:
            same = (study.store / value).resolve() == (study.store / there[name]).resolve()
        else:
            same = name in there and there[name] == value
        if not same:
            raise SettingsError(
                f"{name} = {value!r} of [embeddings.{embedding}]",
                f"{name} = {there[name]!r}" if name in there else f"no {name}",
                "Change study.toml, or give the embedding another name",
            )


def _with(study: Study, embedding: str, stated: Mapping[str, Any]) -> Study:
    factory_of(str(stated.get("family", embedding)))
    tables = {**study.analysis.embeddings, embedding: dict(stated)}
    return Study(
        study.store, study.analysis.model_copy(update={"embeddings": tables}), study.execution
    )


def _append(path: Path, embedding: str, stated: Mapping[str, Any]) -> None:
    """Add a table at the end; the file is replaced at once, and only by one that says the same."""
    name = embedding if embedding.replace("-", "").replace("_", "").isalnum() else f'"{embedding}"'
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in stated.items()]
    before = path.read_text(encoding="utf-8").rstrip("\n")
    text = "\n".join([before, "", f"[embeddings.{name}]", *lines, ""])
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        read_study(partial)
        partial.replace(path)
    except OSError as error:
        raise StoreError(
            f"a file {path} that can be written", str(error), "Make the folder writable"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def _only(step: Step, embedding: str) -> Step:
    def keys(study: Study) -> list[Key]:
        mine = {space.name for space in study.stated.of_table(embedding)}
        return [key for key in step.keys(study) if key[0] in mine]

    return replace(step, keys=keys)
