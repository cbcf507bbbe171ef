"""Scores of held-out predictions: per electrode and, over all electrodes, per word."""

from __future__ import annotations

from collections.abc import Callable

import xarray as xr

from hgcube import names as n
from hgcube.encoding.inputs import whole
from hgcube.kernels import scores
from hgcube.kernels.designs import Array


def scored(fitted: xr.Dataset, epochs: xr.DataArray) -> xr.Dataset:
    """Add the scores, per electrode and, over all electrodes, per word."""
    predicted = fitted["prediction"]
    observed = whole(epochs.reset_coords(drop=True).drop_attrs().astype(float), n.WORD)
    reference = predicted.sel({n.PREDICTOR: n.MEAN_WORD}, drop=True)
    word, electrode, both = (n.WORD,), (n.ELECTRODE,), (n.WORD, n.ELECTRODE)
    added = {
        "observed": observed,
        "skill": _score(scores.skill, word, observed, predicted, reference),
        "r_across_words": _score(scores.r_across_words, word, observed, predicted, reference),
        "r_across_words_plain": _score(scores.pearson, word, observed, predicted),
        "r_across_electrodes": _score(scores.pearson, electrode, observed, predicted),
        "r2_across_electrodes": _score(scores.r2_across_electrodes, electrode, observed, predicted),
        "r_across_electrodes_centered": _score(
            scores.r_across_electrodes_centered, electrode, observed, predicted, reference
        ),
        "r_pooled": _score(_pooled, both, observed, predicted),
    }
    if n.ORDER in predicted[n.PREDICTOR].values:
        model, order = (predicted.sel({n.PREDICTOR: p}, drop=True) for p in (n.MODEL, n.ORDER))
        added["skill_over_order"] = _score(scores.skill, word, observed, model, order)
    return fitted.assign(added)


def _score(
    kernel: Callable[..., Array], core: tuple[str, ...], *cubes: xr.DataArray
) -> xr.DataArray:
    scored: xr.DataArray = xr.apply_ufunc(
        kernel,
        *(whole(cube, *core) for cube in cubes),
        input_core_dims=[list(core)] * len(cubes),
        join="exact",
        dask="parallelized",
        output_dtypes=[float],
    )
    return scored


def _pooled(observed: Array, predicted: Array) -> Array:
    return scores.pearson(observed, predicted, axes=(-2, -1))
