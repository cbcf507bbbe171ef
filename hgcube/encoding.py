"""Epochs and features of one subject and one space -> predictions, references, scores, nulls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError
from hgcube.folds import fold_masks
from hgcube.kernels import scores
from hgcube.kernels.designs import Array
from hgcube.kernels.fitting import fit_targets
from hgcube.kernels.permutations import QUANTILES
from hgcube.kernels.plan import Plan, check_plan
from hgcube.kernels.solvers import SOLVERS
from hgcube.schema import added_flags, check, text_array
from hgcube.variables import VARIABLES, describe

_LOG = logging.getLogger("hgcube")

# What a block's fit returns, with the dims of each output behind those of the targets.
_OUTPUTS: dict[str, tuple[str, ...]] = {
    "prediction": (n.PREDICTOR, n.WORD),
    "chosen_alpha": (n.FOLD,),
    "chosen_l1_ratio": (n.FOLD,),
    "alpha_max": (n.FOLD,),
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
_DTYPES: dict[str, type] = {"collapsed": bool, "n_words": np.int64, "not_converged": np.int64}
_OWN_ATTRS = ("kind", "long_name", "units")


def encode(  # noqa: PLR0913
    epochs: xr.DataArray,
    features: xr.DataArray,
    *,
    solver: str = "elastic_net",
    folds: str = "leave-one-word-out",
    standardize: str | bool = "fold",
    alpha: float | None = None,
    l1_ratio: float = 0.5,
    inner: int | None = 10,
    references: tuple[str, ...] = (n.MEAN_WORD, n.ORDER),
    order_terms: int = 6,
    permutations: int = 0,
    block: int = 10,
    seed: int = 0,
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
        scaled by their sd in the training words. Only with "fold" is ridge's grid of penalties,
        too, made from the training words' features alone; labels never enter it.
    alpha : float, optional
        Penalty as in `hgcube.kernels.designs.Design`. None: chosen inside each fold for each
        electrode, by inner leave-one-out (ridge) or `inner` folds (elastic net).
    l1_ratio : float
        Of the elastic net, in (0, 1].
    inner : int, optional
        Contiguous folds of a fold's training words that judge the penalties; each word when None.
    references : tuple of str
        Of ``mean_word`` (always there), ``order``, ``previous_word``; on the same folds.
    order_terms : int
        Cosines of reading order in the order reference, ridge and the order-adjusted null.
    permutations : int
        Refitted ones in each null, at one penalty fixed beforehand: `alpha`, or for ridge the
        mean eigenvalue of XX'.
    block : int
        Words that the order-adjusted null permutes among themselves.
    seed : int
        Of the permutations, which all electrodes share.

    Returns
    -------
    xarray.Dataset
        The variables of `hgcube.variables.VARIABLES` made by "results"; lazy in blocks of
        electrodes if `epochs` is.

    Raises
    ------
    CubeError
        If the words of the two differ, there is more than one subject, or words are too few.
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
    epochs, features = _with_labels(epochs), _with_labels(features)
    _check_words(epochs, features)
    predictors = tuple(dict.fromkeys((n.MODEL, n.MEAN_WORD, *references)))
    testing, training = fold_masks(epochs, folds)
    plan = Plan(
        solver=solver,
        testing=testing,
        training=training,
        predictors=predictors,
        standardize=standardize,
        alphas=None if alpha is None else (alpha,),
        l1_ratios=(l1_ratio,),
        inner=inner,
        order_terms=order_terms,
        permutations=permutations,
        block=block,
        seed=seed,
    )
    check_plan(plan)
    counts = _counts(epochs, features, plan)
    result = _scored(_fitted(epochs, features, plan), epochs)
    return _finished(result, epochs, features, {"folds": folds, **_settings(plan), **counts})


def _fitted(epochs: xr.DataArray, features: xr.DataArray, plan: Plan) -> xr.Dataset:
    """Run the kernel over blocks of electrodes."""
    outputs = {**_OUTPUTS, **(_NULL_OUTPUTS if plan.nulls else {})}
    sizes = {
        n.PREDICTOR: len(plan.predictors),
        n.FOLD: len(plan.testing),
        n.NULL: len(plan.nulls),
        n.QUANTILE: len(QUANTILES),
        n.PERMUTATION: plan.permutations,
    }
    used = {dim for dims in outputs.values() for dim in dims}
    arrays = xr.apply_ufunc(
        _fit_block,
        _whole(_without_bad(epochs), n.WORD),
        _whole(features.reset_coords(drop=True), n.WORD, n.FEATURE),
        input_core_dims=[[n.WORD], [n.WORD, n.FEATURE]],
        output_core_dims=list(outputs.values()),
        join="exact",
        dask="parallelized",
        kwargs={"plan": plan, "names": tuple(outputs)},
        output_dtypes=[_DTYPES.get(name, float) for name in outputs],
        dask_gufunc_kwargs={
            "output_sizes": {dim: size for dim, size in sizes.items() if dim in used}
        },
    )
    fitted = xr.Dataset(dict(zip(outputs, arrays, strict=True))).assign_coords(
        {n.PREDICTOR: text_array(plan.predictors), n.FOLD: np.arange(sizes[n.FOLD])}
    )
    return _with_null_max(fitted, plan) if plan.nulls else fitted


def _fit_block(
    targets: npt.NDArray[Any], features: npt.NDArray[Any], *, plan: Plan, names: tuple[str, ...]
) -> tuple[npt.NDArray[Any], ...]:
    """Fit targets (..., word) of one block; count in the log what was not fitted."""
    rows = np.asarray(targets, dtype=float).reshape(-1, targets.shape[-1])
    out = fit_targets(rows, np.asarray(features, dtype=float), plan=plan)
    _log_counts(plan.solver, out)
    loop = targets.shape[:-1]
    return tuple(out[name].reshape(*loop, *out[name].shape[1:]) for name in names)


def _log_counts(solver: str, out: Mapping[str, npt.NDArray[Any]]) -> None:
    total = len(out["n_words"])
    for level, count, what in (
        (logging.INFO, (out["n_words"] == 0).sum(), "not fitted: bad, or too few known words"),
        (logging.INFO, out["collapsed"].sum(), "where the model equals its reference"),
        (logging.WARNING, (out["not_converged"] > 0).sum(), "with fits that did not converge"),
    ):
        if count:
            _LOG.log(level, "%s: %d of %d targets %s", solver, count, total, what)


def _with_null_max(fitted: xr.Dataset, plan: Plan) -> xr.Dataset:
    fitted = fitted.assign_coords({n.NULL: text_array(plan.nulls), n.QUANTILE: QUANTILES})
    permuted = fitted["permuted"]
    targets = [dim for dim in (n.ELECTRODE, n.LAG) if dim in permuted.dims]
    return fitted.drop_vars("permuted").assign(null_max=permuted.max(targets))


def _scored(fitted: xr.Dataset, epochs: xr.DataArray) -> xr.Dataset:
    """Add the scores, per electrode and, over all electrodes, per word."""
    predicted = fitted["prediction"]
    observed = _whole(epochs.reset_coords(drop=True).drop_attrs().astype(float), n.WORD)
    reference = predicted.sel({n.PREDICTOR: n.MEAN_WORD}, drop=True)
    word, electrode, both = (n.WORD,), (n.ELECTRODE,), (n.WORD, n.ELECTRODE)
    scored = {
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
        scored["skill_over_order"] = _score(scores.skill, word, observed, model, order)
    return fitted.assign(scored)


def _score(
    kernel: Callable[..., Array], core: tuple[str, ...], *cubes: xr.DataArray
) -> xr.DataArray:
    scored: xr.DataArray = xr.apply_ufunc(
        kernel,
        *(_whole(cube, *core) for cube in cubes),
        input_core_dims=[list(core)] * len(cubes),
        join="exact",
        dask="parallelized",
        output_dtypes=[float],
    )
    return scored


def _pooled(observed: Array, predicted: Array) -> Array:
    return scores.pearson(observed, predicted, axes=(-2, -1))


def _finished(
    result: xr.Dataset,
    epochs: xr.DataArray,
    features: xr.DataArray,
    settings: Mapping[str, object],
) -> xr.Dataset:
    """Give the result its coordinates, dim order, units, long names and attributes."""
    lag = (n.LAG,) if n.LAG in epochs.dims else ()
    ordered = {
        str(name): variable.transpose(*VARIABLES[str(name)].dims, *lag, missing_dims="ignore")
        for name, variable in result.data_vars.items()
    }
    described = describe(xr.Dataset(ordered, attrs={}))
    if "units" in epochs.attrs:
        for name in ("prediction", "observed"):
            described[name].attrs["units"] = epochs.attrs["units"]
    inputs = {**epochs.attrs, **features.attrs}
    kept = {name: value for name, value in inputs.items() if name not in _OWN_ATTRS}
    if n.SIMULATED in inputs:
        kept[n.SIMULATED] = max(cube.attrs.get(n.SIMULATED, False) for cube in (epochs, features))
    described = described.assign_coords(_coords(epochs, features, str(settings["solver"])))
    return described.assign_attrs({**kept, **settings})


def _coords(epochs: xr.DataArray, features: xr.DataArray, solver: str) -> dict[str, xr.DataArray]:
    """Return the word and electrode coordinates of the inputs, and the scalar ones."""
    target = epochs.attrs.get("target", "windows" if n.LAG in epochs.dims else "mean")
    scalars = {n.SPACE: "", n.SOLVER: solver, "target": target}
    coords = {name: xr.DataArray(text_array(text)) for name, text in scalars.items()}
    coords |= {str(name): coord for name, coord in features.coords.items() if coord.ndim == 0}
    for cube in (features, epochs):
        coords |= {
            str(name): coord.reset_coords(drop=True)
            for name, coord in cube.coords.items()
            if coord.ndim and n.FEATURE not in coord.dims
        }
    coords[n.SUBJECT] = xr.DataArray(text_array(_subject(epochs)))
    missing = _without_vector(features)
    if missing is not None and missing.any():
        new = np.where(missing, "no_vector", "").tolist()
        flagged = epochs if n.FLAG in epochs.coords else features
        coords[n.FLAG] = xr.DataArray(added_flags(flagged, n.FLAG, n.WORD, new), dims=n.WORD)
    return coords


def _settings(plan: Plan) -> dict[str, object]:
    fixed = plan.alphas[0] if plan.alphas is not None else "mean eigenvalue of XX'"
    return {
        "solver": plan.solver,
        "scaling": plan.standardize or "none",
        "alpha": "nested" if plan.alphas is None else plan.alphas[0],
        "l1_ratio": _l1_ratio(plan),
        "order_terms": plan.order_terms,
        "order_in_model": int(SOLVERS[plan.solver].order_in_model and plan.order_terms > 0),
        "permutations": plan.permutations,
        "block": plan.block,
        "seed": plan.seed,
        **({"alpha_of_null": fixed} if plan.nulls else {}),
    }


def _l1_ratio(plan: Plan) -> float:
    return plan.l1_ratios[0] if SOLVERS[plan.solver].sparse else 0.0


def _counts(epochs: xr.DataArray, features: xr.DataArray, plan: Plan) -> dict[str, int]:
    """Count words and electrodes; raise if no electrode can be fitted for want of words."""
    counts = {"n_electrodes": epochs.sizes[n.ELECTRODE], "n_features": features.sizes[n.FEATURE]}
    if n.BAD in epochs.coords:
        counts["n_electrodes_bad"] = int(epochs[n.BAD].sum())
    if epochs.chunks is None:
        fittable = _without_bad(epochs).notnull().any([d for d in epochs.dims if d != n.ELECTRODE])
        counts["n_electrodes_used"] = int(fittable.sum())
    missing = _without_vector(features)
    if missing is None:
        return counts
    if missing.any():
        _LOG.warning("%d of %d words have no vector and are left out", missing.sum(), len(missing))
    if not plan.fits(~missing):
        raise CubeError(
            f"at least {plan.fewest_training_words} training words in every fold",
            f"{(~missing).sum()} of {len(missing)} words with vectors in {len(plan.testing)} folds",
            "Use fewer order_terms, other folds, or more words",
        )
    return {**counts, "n_words": len(missing), "n_words_used": int((~missing).sum())}


def _without_bad(epochs: xr.DataArray) -> xr.DataArray:
    kept = epochs.reset_coords(drop=True)
    return kept.where(~epochs[n.BAD].reset_coords(drop=True)) if n.BAD in epochs.coords else kept


def _without_vector(features: xr.DataArray) -> npt.NDArray[np.bool_] | None:
    """Tell which words have no vector; None where only computing it would tell."""
    if features.chunks is not None:
        return None
    known = np.isfinite(features.transpose(n.WORD, n.FEATURE).values)
    return np.asarray(~known.all(axis=1))


def _whole(cube: xr.DataArray, *dims: str) -> xr.DataArray:
    """Put all of `dims` into one chunk if `cube` is chunked: a word-wise store is 5 MB a part."""
    return cube if cube.chunks is None else cube.chunk({d: -1 for d in dims if d in cube.dims})


def _with_labels(cube: xr.DataArray) -> xr.DataArray:
    """Load the coordinates, which `chunk` makes lazy too; never the values."""
    lazy = {name: coord for name, coord in cube.coords.items() if coord.chunks is not None}
    return cube.assign_coords(
        {name: coord.compute(scheduler="synchronous") for name, coord in lazy.items()}
    )


def _subject(epochs: xr.DataArray) -> str:
    subjects = epochs.coords[n.SUBJECT].values if n.SUBJECT in epochs.coords else [""]
    labels = list(dict.fromkeys(np.ravel(subjects).tolist()))
    if len(labels) != 1:
        raise CubeError(
            "epochs of one subject",
            f"{len(labels)} subjects {labels[:5]}",
            "Select one: epochs.hg.sel(subject=...)",
        )
    return str(labels[0])


def _check_words(epochs: xr.DataArray, features: xr.DataArray) -> None:
    """Raise unless the words are the same, in the same order."""
    _subject(epochs)
    for name in (n.WORD, n.TEXT):
        if name in epochs.coords and name in features.coords:
            _check_labels(name, epochs[name].values.tolist(), features[name].values.tolist())
    _check_labels("number of words", [epochs.sizes[n.WORD]], [features.sizes[n.WORD]])


def _check_labels(name: str, of_epochs: list[Any], of_features: list[Any]) -> None:
    pairs = zip(of_epochs, of_features, strict=False)
    differ = [pair for pair in pairs if pair[0] != pair[1]]
    if differ or len(of_epochs) != len(of_features):
        raise CubeError(
            f"the same {name!r} in epochs and features",
            f"{len(of_epochs)} and {len(of_features)} words; (epochs, features) differ at "
            f"{differ[:3] or 'the end'}",
            "Make both from the same words, or select and order them alike",
        )
