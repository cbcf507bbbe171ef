"""What a study asks for is looked up before anything is computed."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings import embedder
from hgcube.errors import SourceError
from hgcube.folds import assign_folds
from hgcube.kernels.plan import Plan, check_plan
from hgcube.pipeline.study import Study

_MANY_WORDS = 10_000


def check_study(study: Study) -> None:
    """Raise for solvers, folds, references, embeddings or model files that do not exist.

    Parameters
    ----------
    study : Study

    Raises
    ------
    OptionError, UnknownLabelError, SourceError
        As the stage that would meet it hours later.
    """
    _check_encoding(study)
    for space in study.analysis.embeddings:
        family, options = study.embedding(space)
        for path in embedder(family, **options).files():
            if not path.is_file():
                raise SourceError(
                    f"the model file of the embedding {space!r}",
                    f"no file {path}",
                    f"Correct 'model' under [embeddings.{space}] in study.toml",
                )


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
