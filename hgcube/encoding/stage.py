"""Epochs and features of one subject and one space -> predictions, references, scores, nulls."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from hgcube import names as n
from hgcube.encoding.inputs import (
    check_bands,
    check_words,
    choosing_groups,
    counts_of,
    electrode_names,
    whole,
    with_labels,
    without_bad,
)
from hgcube.encoding.results import finished, settings_of
from hgcube.encoding.scoring import scored
from hgcube.folds import fold_masks
from hgcube.kernels.fitting import fit_targets
from hgcube.kernels.permutations import QUANTILES
from hgcube.kernels.plan import Plan, check_plan
from hgcube.schema import check, text_array

_LOG = logging.getLogger("hgcube")

# What a block's fit returns, with the dims of each output behind those of the targets.
_OUTPUTS: dict[str, tuple[str, ...]] = {
    "prediction": (n.PREDICTOR, n.WORD),
    "chosen_alpha": (n.FOLD,),
    "chosen_l1_ratio": (n.FOLD,),
    "alpha_max": (n.FOLD,),
    "alpha_ratio": (n.FOLD,),
    "n_nonzero": (n.FOLD,),
    "collapsed": (),
    "n_words": (),
    "not_converged": (),
}
_NULL_OUTPUTS: dict[str, tuple[str, ...]] = {
    "studentized_r": (n.NULL,),
    "p_value": (n.NULL,),
    "null_quantile": (n.NULL, n.QUANTILE),
    "permuted": (n.NULL, n.PERMUTATION),
}
_COEFFICIENT_OUTPUTS = {"coefficient": (n.COEFFICIENT_FOLD, n.FEATURE)}
_DTYPES: dict[str, type] = {"collapsed": bool, "n_words": np.int64, "not_converged": np.int64}


def encode(  # noqa: PLR0913
    epochs: xr.DataArray,
    features: xr.DataArray,
    *,
    solver: str = "elastic_net",
    folds: str = "leave-one-word-out",
    standardize: str | bool = "fold",
    alpha: float | Sequence[float] | None = None,
    l1_ratio: float | Sequence[float] = 0.5,
    inner: str | int = "leave-one-out",
    choose: str = n.ELECTRODE,
    max_active: int | None = None,
    components: float | int | None = None,
    references: tuple[str, ...] = (n.MEAN_WORD, n.ORDER),
    order_terms: int = 6,
    permutations: int = 0,
    null: str = "fixed",
    null_alpha: float | None = None,
    block: int = 10,
    seed: int = 0,
    coefficients: tuple[str | int, ...] = (),
) -> xr.Dataset:
    """Predict each held-out word's high gamma from its vector, and score it beside references.

    Parameters
    ----------
    epochs : xarray.DataArray
        (word, electrode[, lag]) of one subject. An electrode whose coordinate ``bad`` is true
        is not fitted; one that lacks words (NaN) is fitted on its own others.
    features : xarray.DataArray
        (word, feature) of one space, the same words in the same order. A word with a NaN is
        left out for all electrodes and flagged ``no_vector``.
    solver : {"elastic_net", "ridge"}
        Key of `hgcube.kernels.solvers.SOLVERS`. Ridge holds the order terms, unpenalised.
    folds : str
        See `hgcube.folds.assign_folds`.
    standardize : {"fold", "all_words", False}
        z-score the features on each fold's training words, or once on all words without labels
        (ridge's closed form), or leave them raw. Unless False, the elastic net's targets are
        scaled by their sd in the training words. In ridge's closed form its own grid of
        penalties, too, is made from all words' features; labels never enter it.
    alpha : float or sequence, optional
        Penalty as in `hgcube.kernels.designs.Design`; several are candidates. None: the solver's
        own candidates, of the elastic net ten of alpha * l1_ratio from 1 to .03 in standardised
        units. The smallest inner error decides; ties go to the stronger penalty. One above
        ``alpha_max`` collapses the model to its reference.
    l1_ratio : float or sequence
        Of the elastic net, in (0, 1]; several are crossed with the penalties.
    inner : {"leave-one-out"} or int
        What judges candidates on a fold's training words, the held-out words unseen: each of
        them left out, or so many contiguous folds of them.
    choose : {"electrode", "region", "subject"}
        Who chooses together, each electrode's errors over the variance of its training words.
        An electrode without region chooses for itself. Electrodes that lack words choose with
        those of their group that lack the same; lags choose with their electrode, unless it
        chooses for itself.
    max_active : int, optional
        Of the elastic net: a candidate with more non-zero coefficients, and all weaker ones, are
        no candidates. Where that leaves none the strongest is taken.
    components : int or float, optional
        Principal components of the scaled features instead of the features, fitted on each
        fold's training words: how many, or the share of the variance they hold.
    references : tuple of str
        Of ``mean_word`` (always there), ``order``, ``previous_word``; on the same folds.
    order_terms : int
        Cosines of reading order in the order reference, ridge and the order-adjusted null.
    permutations : int
        Refitted ones in each null.
    null : {"fixed", "nested"}
        "fixed": all at one penalty fixed beforehand: `null_alpha`, else a single `alpha`, else
        for ridge the mean eigenvalue of XX' over n. "nested": every choice is made again in each.
    null_alpha : float, optional
        That penalty.
    block : int
        Words that the order-adjusted null permutes among themselves.
    seed : int
        Of the permutations, which all electrodes share.
    coefficients : tuple
        Numbers of folds, and "all_words" for a fit to all of them, whose coefficients at the
        chosen penalty are returned as ``coefficient``; with `components`, what the components
        amount to for each feature.

    Returns
    -------
    xarray.Dataset
        The variables of `hgcube.variables.VARIABLES` made by "results"; lazy in blocks of
        electrodes if `epochs` is.

    Raises
    ------
    CubeError
        If the words of the two differ, there is more than one subject, words are too few, or the
        features are several bands.
    OptionError, UnknownLabelError
        For an option that cannot be.

    Notes
    -----
    Formulas and their sources are in `hgcube.kernels`. Two nulls are kept along ``null``:
    "order_adjusted" (Freedman-Lane, within blocks) and "plain" (all words, no order terms). They
    test what the model adds to the order reference and to the mean word, at the null's penalty.

    Examples
    --------
    >>> import hgcube, numpy as np, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> vectors = xr.DataArray(rng.standard_normal((40, 2)), dims=("word", "feature"))
    >>> epochs = 5 + vectors.isel(feature=[0]).rename(feature="electrode")
    >>> result = hgcube.encode(epochs, vectors, solver="ridge")
    >>> bool(result.skill.sel(predictor="model") > 0.9)
    True
    """
    check(epochs, "epochs")
    check(features, "features")
    check_bands(features)
    epochs, features = with_labels(epochs), with_labels(features)
    check_words(epochs, features)
    predictors = tuple(dict.fromkeys((n.MODEL, n.MEAN_WORD, *references)))
    testing, training = fold_masks(epochs, folds)
    plan = Plan.of(
        solver=solver,
        testing=testing,
        training=training,
        predictors=predictors,
        standardize=standardize,
        alpha=alpha,
        l1_ratio=l1_ratio,
        inner=inner,
        choose=choose,
        max_active=max_active,
        components=components,
        order_terms=order_terms,
        permutations=permutations,
        null=null,
        null_alpha=null_alpha,
        block=block,
        seed=seed,
        coefficients=tuple(coefficients),
    )
    check_plan(plan)
    counts = counts_of(epochs, features, plan)
    fitted = _fitted(epochs, features, choosing_groups(epochs, choose), plan)
    settings = {"folds": folds, **settings_of(plan), **counts}
    return finished(scored(fitted, epochs), epochs, features, settings)


def _fitted(
    epochs: xr.DataArray, features: xr.DataArray, groups: xr.DataArray, plan: Plan
) -> xr.Dataset:
    """Run the kernel over blocks of electrodes; over all of them where they choose together."""
    outputs = {
        **_OUTPUTS,
        **(_NULL_OUTPUTS if plan.nulls else {}),
        **(_COEFFICIENT_OUTPUTS if plan.coefficients else {}),
    }
    together = (n.ELECTRODE,) if len(np.unique(groups)) < groups.size else ()
    sizes = {
        n.PREDICTOR: len(plan.predictors),
        n.FOLD: len(plan.testing),
        n.NULL: len(plan.nulls),
        n.QUANTILE: len(QUANTILES),
        n.PERMUTATION: plan.permutations,
        n.COEFFICIENT_FOLD: len(plan.coefficients),
    }
    used = {dim for dims in outputs.values() for dim in dims}
    arrays = xr.apply_ufunc(
        _fit_block,
        whole(without_bad(epochs), n.WORD, *together),
        groups,
        xr.DataArray(np.arange(epochs.sizes[n.ELECTRODE]), dims=n.ELECTRODE),
        whole(features.reset_coords(drop=True), n.WORD, n.FEATURE),
        input_core_dims=[[n.WORD], [], [], [n.WORD, n.FEATURE]],
        output_core_dims=list(outputs.values()),
        join="exact",
        dask="parallelized",
        kwargs={"plan": plan, "names": tuple(outputs), "labels": electrode_names(epochs)},
        output_dtypes=[_DTYPES.get(name, float) for name in outputs],
        dask_gufunc_kwargs={
            "output_sizes": {dim: size for dim, size in sizes.items() if dim in used}
        },
    )
    fitted = xr.Dataset(dict(zip(outputs, arrays, strict=True))).assign_coords(
        {n.PREDICTOR: text_array(plan.predictors), n.FOLD: np.arange(sizes[n.FOLD])}
    )
    if plan.coefficients:
        labels = text_array([str(fold) for fold in plan.coefficients])
        fitted = fitted.assign_coords({n.COEFFICIENT_FOLD: labels})
    return _with_null_max(fitted, plan) if plan.nulls else fitted


def _fit_block(
    targets: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    places: npt.NDArray[Any],
    features: npt.NDArray[Any],
    *,
    plan: Plan,
    names: tuple[str, ...],
    labels: list[str],
) -> tuple[npt.NDArray[Any], ...]:
    """Fit targets (..., word) of one block; count in the log what was not fitted."""
    loop = targets.shape[:-1]
    rows = np.asarray(targets, dtype=float).reshape(-1, targets.shape[-1])
    out = fit_targets(rows, np.asarray(features, dtype=float), groups.ravel(), plan=plan)
    _log_counts(plan.solver, out, np.broadcast_to(places, loop).ravel(), labels)
    return tuple(out[name].reshape(*loop, *out[name].shape[1:]) for name in names)


def _log_counts(
    solver: str, out: Mapping[str, npt.NDArray[Any]], places: npt.NDArray[Any], labels: list[str]
) -> None:
    total = len(places)
    for level, found, what in (
        (logging.INFO, out["n_words"] == 0, "not fitted: bad, or too few known words"),
        (logging.INFO, out["collapsed"], "where the model equals its reference"),
        (logging.WARNING, out["not_converged"] > 0, "with fits that did not converge"),
    ):
        electrodes = [labels[place] for place in dict.fromkeys(places[found].tolist())]
        if electrodes:
            first = ", ".join(electrodes[:3]) + (", ..." if len(electrodes) > 3 else "")
            _LOG.log(level, "%s: %d of %d targets %s (%s)", solver, found.sum(), total, what, first)


def _with_null_max(fitted: xr.Dataset, plan: Plan) -> xr.Dataset:
    fitted = fitted.assign_coords({n.NULL: text_array(plan.nulls), n.QUANTILE: QUANTILES})
    permuted = fitted["permuted"]
    targets = [dim for dim in (n.ELECTRODE, n.LAG) if dim in permuted.dims]
    return fitted.drop_vars("permuted").assign(null_max=permuted.max(targets))
