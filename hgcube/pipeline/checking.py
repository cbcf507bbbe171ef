"""What a study asks for is looked up before anything is computed."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings.families import missing_packages
from hgcube.embeddings.protocol import factory_of
from hgcube.embeddings.stated import BANDS, recordings_named
from hgcube.errors import (
    HgcubeError,
    MissingExtraError,
    SettingsError,
    SourceError,
    UnknownLabelError,
)
from hgcube.folds import assign_folds
from hgcube.kernels.plan import Plan, check_plan
from hgcube.pipeline.study import Study
from hgcube.store import part_name

_MANY_WORDS = 10_000


def check_study(study: Study) -> None:
    """Raise for solvers, folds, references, embeddings or models that do not exist.

    Says which spaces are stored but not fitted.

    Parameters
    ----------
    study : Study

    Raises
    ------
    OptionError, UnknownLabelError, SettingsError, SourceError, MissingExtraError
        As the stage that would meet it hours later.
    """
    _check_encoding(study)
    for table in study.analysis.embeddings:
        _check_embedding(study, table)
        _check_audio(study, table)
    tables = study.analysis.embeddings
    names = [space.name for table in tables for space in study.stated.of_table(table)]
    for name, count in Counter(names).items():
        part_name("features", (name,))
        if count > 1:
            raise SettingsError(
                "a name of its own for every space in study.toml",
                f"{name!r} twice: an embedding, and a layer of another",
                "Rename that embedding",
            )
    if unfitted := study.unfitted_spaces:
        logging.getLogger("hgcube").warning(
            "stored but not fitted: %s (%s; fit each band as a space of its own)",
            ", ".join(unfitted),
            BANDS,
        )


def _check_embedding(study: Study, table: str) -> None:
    family, options = study.stated.resolved(table)
    if missing := missing_packages(factory_of(family)):
        raise MissingExtraError(
            f"{' and '.join(missing)} for the embedding {table!r}",
            "no such package",
            "Run: pip install 'hgcube[embed]'",
        )
    for label in recordings_named(options):
        if label not in study.recordings:
            raise UnknownLabelError.of(
                f"recording as 'speaker' of {table!r}", label, study.recordings
            )
    embedder = study.stated.embedder(table)
    if not embedder.layers:
        raise SettingsError(f"layers of the embedding {table!r}", "none", "Name them in 'layers'")
    for path in embedder.files():
        if not path.is_file():
            raise SourceError(
                f"the files of the embedding {table!r}",
                f"no file {path}",
                f"Correct the paths under [embeddings.{table}] in study.toml",
            )


def _check_audio(study: Study, table: str) -> None:
    _, options = study.stated.resolved(table)
    if study.stated.embedder(table).hears:
        _check_heard(study, table, list(study.recordings))
    for speaker in recordings_named(options):
        _check_heard(study, table, [speaker])


def _check_heard(study: Study, table: str, labels: list[str]) -> None:
    """Raise if no recording can be heard; say which cannot where others can."""
    silent = [label for label in labels if not _has_audio(study, label)]
    if not silent:
        return
    if silent == labels:
        raise SourceError(
            f"audio for the embedding {table!r}, which hears the words",
            f"none in {', '.join(silent)}",
            "Name its file with 'audio' under [source] in study.toml, or leave the embedding out",
        )
    logging.getLogger("hgcube").warning(
        "no features of %s, which hears the words: no audio in %s", table, ", ".join(silent)
    )


def _has_audio(study: Study, label: str) -> bool:
    try:
        return n.AUDIO_TIME in study.sizes(label)
    except HgcubeError:
        # What is wrong with a recording is said where it is read; the others go on.
        return True


def _check_encoding(study: Study) -> None:
    stated = study.analysis.encoding
    if not stated.folds.startswith("grouped"):
        # Whether a coordinate to group by exists is known only with the words.
        assign_folds(xr.DataArray(np.zeros(_MANY_WORDS), dims=n.WORD), stated.folds)
    none = np.zeros((0, 0), dtype=bool)
    for name, solver in stated.enabled.items():
        plan = Plan.of(
            solver=name,
            testing=none,
            training=none,
            predictors=(n.MODEL, *stated.references),
            order_terms=stated.order_terms,
            block=stated.block,
            seed=study.analysis.seed,
            **solver.options,
        )
        check_plan(plan)
