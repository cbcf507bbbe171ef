"""Elastic net by scikit-learn's coordinate descent, one Gram matrix a fold for all targets."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hgcube.kernels.designs import (
    ROUNDING,
    Array,
    Design,
    Fit,
    Fitter,
    Split,
    scaled_on_all_words,
    split,
    splits,
)

# Candidate penalties, in fractions of the fold's alpha_max; at 1 the model is its reference.
FRACTIONS = np.geomspace(1.0, 0.01, 10)
INNER_FOLDS = 5
MAX_SWEEPS = 20_000
# Relative duality gaps: predictions within about 1e-9, and errors good enough to compare.
TOLERANCE = 1e-10
CHOICE_TOLERANCE = 1e-3


def to_alpha(l1: float, l2: float, n_words: int) -> tuple[float, float]:
    """Convert the penalties of ``|y - Xw|^2 + l1 |w|_1 + l2 |w|^2`` to scikit-learn's.

    Parameters
    ----------
    l1, l2 : float
        Not both 0.
    n_words : int
        Training words.

    Returns
    -------
    alpha, l1_ratio : float

    Examples
    --------
    >>> alpha, l1_ratio = to_alpha(1.0, 0.0, 100)
    >>> alpha * l1_ratio
    0.005
    """
    return (l1 / 2 + l2) / n_words, l1 / (l1 + 2 * l2)


def from_alpha(alpha: float, l1_ratio: float, n_words: int) -> tuple[float, float]:
    """Convert scikit-learn's penalties to those of ``|y - Xw|^2 + l1 |w|_1 + l2 |w|^2``.

    Parameters
    ----------
    alpha, l1_ratio : float
    n_words : int
        Training words.

    Returns
    -------
    l1, l2 : float
    """
    return 2 * n_words * alpha * l1_ratio, n_words * alpha * (1 - l1_ratio)


def prepare(design: Design) -> Fitter:
    """Return the elastic-net fitter of a design.

    Parameters
    ----------
    design : Design
        Unless `standardize` is False the targets are scaled by their sd in the training words.

    Returns
    -------
    callable
        Targets (word, target) -> `Fit`. Without `alpha` each fold and target takes, of
        `FRACTIONS` of its alpha_max, the penalty with the smallest error in `INNER_FOLDS`
        contiguous folds of its training words.
    """
    return lambda targets: _fit(design, targets)


def _fit(design: Design, targets: Array) -> Fit:
    from sklearn import config_context
    from sklearn.exceptions import ConvergenceWarning

    shape = (len(design.testing), targets.shape[1])
    alpha, alpha_max, n_nonzero = np.zeros((3, *shape))
    added = np.zeros_like(targets)
    unfinished = np.zeros(shape[1], dtype=np.int64)
    with warnings.catch_warnings(), config_context(skip_parameter_validation=True):
        # Counted per target instead.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for fold, part in splits(design):
            scaled = _Scaled.of(part, targets[part.train], design)
            alpha_max[fold] = scaled.alpha_max
            if design.alpha is None:
                alpha[fold] = _chosen_alpha(design, part, targets, scaled.alpha_max)
            else:
                alpha[fold] = design.alpha
            weights, missed = _solve(scaled, alpha[fold])
            added[part.test] = part.test_features @ weights * scaled.spread
            n_nonzero[fold] = np.count_nonzero(weights, axis=0)
            unfinished += missed
    return Fit(
        added=added,
        alpha=alpha,
        alpha_max=alpha_max,
        n_nonzero=n_nonzero,
        not_converged=unfinished,
    )


@dataclass(frozen=True, kw_only=True)
class _Scaled:
    """One fold's problem for all targets: residuals over `spread`, and the products with them."""

    features: Array
    targets: Array
    spread: Array
    gram: Array
    products: Array
    l1_ratio: float
    alpha_max: Array

    @classmethod
    def of(cls, part: Split, targets: Array, design: Design) -> _Scaled:
        spread = targets.std(axis=0)
        varies = spread > ROUNDING * np.abs(targets).max(axis=0)
        spread = np.where(varies & (design.standardize is not False), spread, 1.0)
        residuals = np.where(varies, part.residuals(targets), 0.0) / spread
        products = np.ascontiguousarray((part.features.T @ residuals).T)
        largest = np.abs(products).max(axis=1, initial=0.0)
        # A hair above the bound, so that its own rounding selects no feature.
        alpha_max = largest / (len(part.train) * design.l1_ratio) * (1 + ROUNDING)
        return cls(
            features=np.asfortranarray(part.features),
            targets=np.asfortranarray(residuals),
            spread=spread,
            gram=part.features.T @ part.features,
            products=products,
            l1_ratio=design.l1_ratio,
            alpha_max=alpha_max,
        )


def _solve(scaled: _Scaled, alpha: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return weights (feature, target) and whether each target stopped early."""
    weights = np.zeros((scaled.features.shape[1], len(alpha)))
    missed = np.zeros(len(alpha), dtype=np.int64)
    for target in np.flatnonzero(alpha < scaled.alpha_max):
        path, missed[target] = _path(scaled, target, alpha[target : target + 1], TOLERANCE)
        weights[:, target] = path[:, 0]
    return weights, missed


def _path(scaled: _Scaled, target: np.intp, alphas: Array, tolerance: float) -> tuple[Array, bool]:
    """Return weights (feature, alpha) for falling `alphas`, and whether one stopped early."""
    from sklearn.linear_model import enet_path

    values = scaled.targets[:, target]
    _, weights, gaps, sweeps = enet_path(
        scaled.features,
        values,
        l1_ratio=scaled.l1_ratio,
        alphas=alphas,
        precompute=scaled.gram,
        Xy=scaled.products[target],
        check_input=False,
        return_n_iter=True,
        tol=tolerance,
        max_iter=MAX_SWEEPS,
    )
    open_gap = np.asarray(gaps) * len(values) > tolerance * (values @ values)
    return weights, bool(((np.asarray(sweeps) >= MAX_SWEEPS) & open_gap).any())


def _chosen_alpha(design: Design, part: Split, targets: Array, alpha_max: Array) -> Array:
    """Return, per target, the penalty with the smallest inner error; ties go to the larger."""
    grid = FRACTIONS[:, None] * alpha_max
    errors = np.zeros_like(grid)
    for inner in _inner_splits(design, part):
        scaled = _Scaled.of(inner, targets[inner.train], design)
        fitted = inner.projector @ targets[inner.train]
        held_out = targets[inner.test] - design.unpenalized[inner.test] @ fitted
        for target in np.flatnonzero(alpha_max > 0):
            path, _ = _path(scaled, target, grid[:, target], CHOICE_TOLERANCE)
            added = inner.test_features @ path * scaled.spread[target]
            errors[:, target] += ((held_out[:, target, None] - added) ** 2).sum(axis=0)
    return np.asarray(np.take_along_axis(grid, errors.argmin(axis=0)[None], axis=0)[0])


def _inner_splits(design: Design, part: Split) -> Iterator[Split]:
    """Yield contiguous folds of the training words, standardised as the outer fold is."""
    features = scaled_on_all_words(design)
    for test in np.array_split(part.train, min(INNER_FOLDS, len(part.train))):
        yield split(
            features,
            design.unpenalized,
            np.setdiff1d(part.train, test),
            test,
            standardize=design.standardize == "fold",
        )
