"""Synthetic features and targets for the benchmarks, and how far a solution is from the best one.

All problems are in scikit-learn's scale, over the n centred training words of a fold:
``1/(2n) |y - Xw|^2 + l1 |w|_1 + l2/2 |w|^2``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hgcube.kernels.designs import Array, Design

# Singular values fall like rank^-DECAY, as those of word embeddings do.
DECAY = 0.7
PLANTED = 12
LARGEST_SHARE = 0.3


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """One pair of penalties.

    Parameters
    ----------
    l1, l2 : float
        In the objective above; not both 0.
    """

    l1: float
    l2: float

    @property
    def alpha(self) -> float:
        """scikit-learn's alpha."""
        return self.l1 + self.l2

    @property
    def l1_ratio(self) -> float:
        """scikit-learn's l1_ratio."""
        return self.l1 / self.alpha


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Features (word, feature) and targets (word, target)."""

    features: Array
    targets: Array

    def first(self, n_targets: int) -> Problem:
        """Return the problem with its first `n_targets` targets."""
        return replace(self, targets=np.ascontiguousarray(self.targets[:, :n_targets]))

    def design(self, penalty: Penalty | None = None, *, standardize: str | bool) -> Design:
        """Return the leave-one-word-out design, at one penalty or the solver's own candidates."""
        testing = np.eye(len(self.features), dtype=bool)
        design = Design(
            features=self.features,
            unpenalized=np.ones((len(testing), 1)),
            testing=testing,
            training=~testing,
            standardize=standardize,
        )
        if penalty is None:
            return design
        return replace(design, alphas=(penalty.alpha,), l1_ratios=(penalty.l1_ratio,))


def make_problem(n_features: int, n_targets: int, *, n_words: int = 100, seed: int = 0) -> Problem:
    """Draw features like word embeddings and targets like high gamma.

    Parameters
    ----------
    n_features, n_targets, n_words : int
    seed : int

    Returns
    -------
    Problem
        Features: a power-law spectrum in a random rotation, columns of unequal scale, z-scored and
        then moved off zero. Targets: noise, and for most of them a weak weighted sum of
        `PLANTED` features (at most `LARGEST_SHARE` of the variance), with sd 1 and a mean.
    """
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((n_features, n_features)))
    spectrum = np.arange(1, n_features + 1) ** -DECAY
    drawn = (rng.standard_normal((n_words, n_features)) * spectrum) @ rotation.T
    features = (drawn - drawn.mean(axis=0)) / drawn.std(axis=0)
    targets = _targets(features, n_targets, rng)
    return Problem(
        features=features + 0.1 * rng.standard_normal(n_features),
        targets=targets + rng.standard_normal(n_targets),
    )


def _targets(features: Array, n_targets: int, rng: np.random.Generator) -> Array:
    """Return targets with sd 1; a target far in time from its peak carries little signal."""
    weights = np.zeros((features.shape[1], n_targets))
    for column in weights.T:
        chosen = rng.choice(len(column), min(PLANTED, len(column)), replace=False)
        column[chosen] = rng.standard_normal(len(chosen))
    signals = features @ weights
    from_peak = np.abs(rng.random(n_targets) - rng.random(n_targets))
    share = LARGEST_SHARE * rng.random(n_targets) * np.exp(-((from_peak / 0.15) ** 2))
    noise = rng.standard_normal(signals.shape)
    mixed = np.sqrt(share) * signals / signals.std(axis=0) + np.sqrt(1 - share) * noise
    return np.asarray(mixed / mixed.std(axis=0))


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One fold as a peer is given it: what all penalties and targets share costs it nothing.

    Parameters
    ----------
    features, columns : (word, feature) float64
        Training words, centred (and scaled), in C and in Fortran order.
    targets : (target, word) float64
    gram : (feature, feature), products : (target, feature) float64
    curvature : float
        Largest eigenvalue of `gram`.
    held_out : (feature,) float64
        The left-out word, moved and scaled alike.
    """

    features: Array
    columns: Array
    targets: Array
    gram: Array
    products: Array
    curvature: float
    held_out: Array

    def first(self, n_targets: int) -> Fold:
        """Return the fold with its first `n_targets` targets, or as many by repetition."""
        rows = np.arange(n_targets) % len(self.targets)
        return replace(self, targets=self.targets[rows], products=self.products[rows])


def make_fold(problem: Problem, left_out: int, *, standardize: str | bool) -> Fold:
    """Return the fold that leaves out one word, from its definition.

    Parameters
    ----------
    problem : Problem
    left_out : int
        Word.
    standardize : "fold" or False
        Divide features and targets by their sd over the training words, or only centre them.

    Returns
    -------
    Fold
    """
    training = np.delete(problem.features, left_out, axis=0)
    targets = np.delete(problem.targets, left_out, axis=0)
    spread = training.std(axis=0) if standardize else np.ones(training.shape[1])
    unit = targets.std(axis=0) if standardize else np.ones(targets.shape[1])
    features = np.ascontiguousarray((training - training.mean(axis=0)) / spread)
    centred = np.ascontiguousarray(((targets - targets.mean(axis=0)) / unit).T)
    gram = features.T @ features
    return Fold(
        features=features,
        columns=np.asfortranarray(features),
        targets=centred,
        gram=gram,
        products=np.ascontiguousarray(centred @ features),
        curvature=float(np.linalg.eigvalsh(gram)[-1]),
        held_out=(problem.features[left_out] - training.mean(axis=0)) / spread,
    )


def relative_gap(fold: Fold, weights: Array, penalty: Penalty) -> Array:
    """Return each target's duality gap over half its sum of squares.

    The elastic net is a lasso on ``[X; sqrt(n l2) I]``; its residual, scaled into the dual's
    bounds, is the dual point (Kim et al. 2007, IEEE J. Sel. Top. Signal Process. 1, 606).

    Parameters
    ----------
    fold : Fold
    weights : (target, feature) float64
    penalty : Penalty

    Returns
    -------
    (target,) float64
        Never below 0 but for rounding; an upper bound on how far the objective is from its best.
    """
    l1, l2 = (value * len(fold.features) for value in (penalty.l1, penalty.l2))
    residuals = fold.targets - weights @ fold.features.T
    slopes = np.abs(residuals @ fold.features - l2 * weights).max(axis=1)
    shrink = np.minimum(1.0, l1 / np.maximum(slopes, np.finfo(float).tiny))
    length = (residuals**2).sum(axis=1) + l2 * (weights**2).sum(axis=1)
    primal = length / 2 + l1 * np.abs(weights).sum(axis=1)
    dual = shrink * (residuals * fold.targets).sum(axis=1) - shrink**2 * length / 2
    return np.asarray((primal - dual) / ((fold.targets**2).sum(axis=1) / 2))
