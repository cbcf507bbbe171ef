"""Coefficients of any solver: a linear model's predictions of unit vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hgcube.kernels.designs import (
    ROUNDING,
    Array,
    Design,
    Mask,
    Solver,
    scaled_on_all_words,
    z_scored,
)


def coefficients(
    solver: Solver, design: Design, targets: Array, words: Mask, alpha: Array, l1_ratio: Array
) -> Array:
    """Return the coefficients of each target's fit to some words, at its own penalty.

    Parameters
    ----------
    solver : Solver
    design : Design
        Its folds and candidates take no part.
    targets : (word, target) float64
    words : (word,) bool
        Words that the model is fitted on.
    alpha, l1_ratio : (target,) float64
        Penalties; the l1_ratio of ridge is 0.

    Returns
    -------
    (feature, target) float64
        Per standardised feature and in sd of the target in `words`; in plain units of both
        where `standardize` is False. With components these are the features' coefficients
        that the components amount to.
    """
    probed, scaled = _probed(design, targets, words)
    n_words = len(targets)
    weights = np.zeros((design.features.shape[1], targets.shape[1]))
    pairs, member = np.unique(np.stack([alpha, l1_ratio]), axis=1, return_inverse=True)
    for number, (own_alpha, own_ratio) in enumerate(pairs.T.tolist()):
        columns = member.ravel() == number
        alone = replace(probed, alphas=(own_alpha,), l1_ratios=(own_ratio,), max_active=None)
        added = solver.prepare(alone)(scaled[:, columns]).added[0, n_words:]
        weights[:, columns] = added[1:] - added[0]
    # A coefficient of 0 is a prediction of 0 up to rounding.
    dust = np.abs(weights) <= ROUNDING * np.abs(weights).max(axis=0)
    return np.where(dust, 0.0, weights)


def fitted_to_all(design: Design) -> Design:
    """Return the design of one fold that trains on all words; it tests one more, of zeros.

    Parameters
    ----------
    design : Design
        Whose scaling, candidates and inner folds the result has.
    """
    n_words = len(design.features)
    return replace(
        design,
        features=np.pad(design.features, ((0, 1), (0, 0))),
        unpenalized=np.pad(design.unpenalized, ((0, 1), (0, 0))),
        testing=np.arange(n_words + 1)[None] == n_words,
        training=np.arange(n_words + 1)[None] < n_words,
        # Scaled on the words trained on, which are all of them.
        standardize=design.standardize and "fold",
    )


def _probed(design: Design, targets: Array, words: Mask) -> tuple[Design, Array]:
    """Return the fold that is trained on `words` and tests no vector and unit vectors."""
    features = scaled_on_all_words(design)
    if design.standardize == "fold":
        features = z_scored(features, features[words])
    n_words, n_features = features.shape
    probes = np.vstack([np.zeros(n_features), np.eye(n_features)])
    n_probes = len(probes)
    probed = replace(
        design,
        features=np.vstack([features, probes]),
        unpenalized=np.pad(design.unpenalized, ((0, n_probes), (0, 0))),
        testing=np.repeat([[False, True]], [n_words, n_probes], axis=1),
        training=np.append(words, np.zeros(n_probes, dtype=bool))[None],
        standardize=False,
    )
    units = targets[words].std(axis=0)
    scaled = targets / np.where((design.standardize is not False) & (units > 0), units, 1.0)
    return probed, np.pad(scaled, ((0, n_probes), (0, 0)))
