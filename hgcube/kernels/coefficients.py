"""Coefficients of any solver: a linear model's predictions of unit vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hgcube.kernels.choice import Groups, choose
from hgcube.kernels.designs import Array, Design, Mask, Solver, scaled_on_all_words


def coefficients(
    solver: Solver, design: Design, targets: Array, groups: Groups, words: Mask
) -> Array:
    """Return the coefficients at the penalty chosen on `words`.

    Parameters
    ----------
    solver : Solver
    design : Design
        Its folds take no part. `alphas` None: the solver's own candidates on `words`.
    targets : (word, target) float64
    groups : (target,) int
        As in `hgcube.kernels.choice.choose`.
    words : (word,) bool
        Words that the model is fitted on.

    Returns
    -------
    (feature, target) float64
        Per standardised feature and in sd of the target in `words`; in plain units of both
        where `standardize` is False. With components these are the features' coefficients
        that the components amount to.
    """
    features = scaled_on_all_words(design)
    within = design.standardize == "fold"
    spread = features[words].std(axis=0) if within else np.ones(features.shape[1])
    probes = np.vstack([np.zeros_like(spread), np.diag(spread)])
    n_words, n_probes = len(features), len(probes)
    testing = np.repeat([[False, True]], [n_words, n_probes], axis=1)
    probed = replace(
        design,
        features=np.vstack([features, probes]),
        unpenalized=np.pad(design.unpenalized, ((0, n_probes), (0, 0))),
        testing=testing,
        training=np.append(words, np.zeros(n_probes, dtype=bool))[None],
        standardize="fold" if within else False,
    )
    padded = np.pad(_in_sd(targets, words, design), ((0, n_probes), (0, 0)))
    path = solver.prepare(probed)(padded)
    added = choose(path, padded, probed.testing, probed.training, groups).added[n_words:]
    return np.asarray(added[1:] - added[0])


def _in_sd(targets: Array, words: Mask, design: Design) -> Array:
    spread = targets[words].std(axis=0)
    scaled = design.standardize is not False
    return np.asarray(targets / np.where(scaled & (spread > 0), spread, 1.0))
