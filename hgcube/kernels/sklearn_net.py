"""Elastic net by scikit-learn's coordinate descent, fit by fit: slow, to check the engine with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hgcube.kernels.designs import (
    ROUNDING,
    Array,
    Design,
    Fitter,
    Path,
    Split,
    elastic_candidates,
    exclude,
    inner_splits,
    splits,
)

MAX_SWEEPS = 20_000
# Relative duality gap: predictions within about 1e-9.
TOLERANCE = 1e-10


def prepare(design: Design) -> Fitter:
    """Return the elastic-net fitter of a design.

    Parameters
    ----------
    design : Design

    Returns
    -------
    callable
        Targets (word, target) -> `Path`.
    """
    return lambda targets: _fit(design, targets)


def _fit(design: Design, targets: Array) -> Path:
    from sklearn import config_context
    from sklearn.exceptions import ConvergenceWarning

    alpha, l1_ratio = elastic_candidates(design)
    n_folds, n_targets = len(design.testing), targets.shape[1]
    added = np.zeros((len(alpha), *targets.shape))
    n_nonzero, errors = np.zeros((2, len(alpha), n_folds, n_targets))
    l1_max = np.zeros((n_folds, n_targets))
    unfinished = np.zeros(n_targets, dtype=np.int64)
    with warnings.catch_warnings(), config_context(skip_parameter_validation=True):
        # Counted per target instead.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for fold, part in splits(design):
            scaled = _Scaled.of(part, targets[part.train], design)
            l1_max[fold] = scaled.l1_max
            for target, weights, missed in _paths(scaled, alpha, l1_ratio):
                added[:, part.test, target] = (part.test_features @ weights).T
                n_nonzero[:, fold, target] = np.count_nonzero(weights, axis=0)
                unfinished[target] += missed
            added[:, part.test] *= scaled.spread
            if len(alpha) > 1:
                errors[:, fold] = _inner_errors(design, part, targets, alpha, l1_ratio)
    exclude(errors, n_nonzero, l1_ratio, design.max_active)
    return Path(
        alpha=np.repeat(alpha[:, None], n_folds, axis=1),
        l1_ratio=l1_ratio,
        added=added,
        n_nonzero=n_nonzero,
        l1_max=l1_max,
        errors=errors,
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
    l1_max: Array

    @classmethod
    def of(cls, part: Split, targets: Array, design: Design) -> _Scaled:
        spread = targets.std(axis=0)
        varies = spread > ROUNDING * np.abs(targets).max(axis=0)
        spread = np.where(varies & (design.standardize is not False), spread, 1.0)
        residuals = np.where(varies, part.residuals(targets), 0.0) / spread
        products = np.ascontiguousarray((part.features.T @ residuals).T)
        largest = np.abs(products).max(axis=1, initial=0.0)
        return cls(
            features=np.asfortranarray(part.features),
            targets=np.asfortranarray(residuals),
            spread=spread,
            gram=part.features.T @ part.features,
            products=products,
            # A hair above the bound, so that its own rounding selects no feature.
            l1_max=largest / len(part.train) * (1 + ROUNDING),
        )


def _paths(scaled: _Scaled, alpha: Array, l1_ratio: Array) -> Iterator[tuple[int, Array, int]]:
    """Yield each target with its weights (feature, candidate) and fits that stopped early."""
    for target, largest in enumerate(scaled.l1_max):
        weights = np.zeros((scaled.features.shape[1], len(alpha)))
        missed = 0
        for ratio in np.unique(l1_ratio):
            active = (l1_ratio == ratio) & (alpha * ratio < largest)
            if active.any():
                weights[:, active], unfinished = _path(scaled, target, alpha[active], ratio)
                missed += unfinished
        yield target, weights, missed


def _path(scaled: _Scaled, target: int, alphas: Array, l1_ratio: float) -> tuple[Array, int]:
    """Return weights (feature, alpha) for falling `alphas`, and how many stopped early."""
    from sklearn.linear_model import enet_path

    values = scaled.targets[:, target]
    _, weights, gaps, sweeps = enet_path(
        scaled.features,
        values,
        l1_ratio=l1_ratio,
        alphas=alphas,
        precompute=scaled.gram,
        Xy=scaled.products[target],
        check_input=False,
        return_n_iter=True,
        tol=TOLERANCE,
        max_iter=MAX_SWEEPS,
    )
    open_gap = np.asarray(gaps) * len(values) > TOLERANCE * (values @ values)
    return weights, int(((np.asarray(sweeps) >= MAX_SWEEPS) & open_gap).sum())


def _inner_errors(
    design: Design, part: Split, targets: Array, alpha: Array, l1_ratio: Array
) -> Array:
    """Return the sums of squared errors (candidate, target) over the inner folds."""
    errors = np.zeros((len(alpha), targets.shape[1]))
    for inner in inner_splits(design, part):
        scaled = _Scaled.of(inner, targets[inner.train], design)
        fitted = inner.projector @ targets[inner.train]
        held_out = targets[inner.test] - design.unpenalized[inner.test] @ fitted
        for target, weights, _ in _paths(scaled, alpha, l1_ratio):
            added = inner.test_features @ weights * scaled.spread[target]
            errors[:, target] += ((held_out[:, target, None] - added) ** 2).sum(axis=0)
    return errors
