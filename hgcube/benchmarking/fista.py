"""Batched FISTA in torch: what many would write first for many targets."""

from __future__ import annotations

import math

import numpy as np

from hgcube.benchmarking.problems import Fold, Penalty
from hgcube.kernels.designs import Array

BATCH = 512
STEPS = 20_000
_LOOK_EVERY = 10


def fista(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    """Return weights (target, feature) by accelerated proximal gradient steps in float64.

    On one thread, with the constant momentum for strong convexity ``l2`` (Beck 2017, First-Order
    Methods in Optimization, section 10.7.7); the Lipschitz constant is given.

    Parameters
    ----------
    fold : Fold
    penalty : Penalty
    tolerance : float
        Stops when no weight moves by more than `tolerance` times l1 over the Lipschitz constant.

    Returns
    -------
    (target, feature) float64
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _steps(fold, penalty, tolerance)
    finally:
        torch.set_num_threads(before)


def _steps(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    import torch
    from torch.nn.functional import softshrink

    n_words = len(fold.features)
    lipschitz = fold.curvature / n_words + penalty.l2
    root = math.sqrt(penalty.l2 / lipschitz)
    momentum = (1 - root) / (1 + root)
    gram = torch.from_numpy(fold.gram / n_words)
    pull = torch.from_numpy(np.ascontiguousarray(fold.products.T)) / (n_words * lipschitz)
    weights = torch.zeros_like(pull)
    ahead = weights.clone()
    for step in range(STEPS):
        moved = torch.addmm(
            ahead * (1 - penalty.l2 / lipschitz) + pull, gram, ahead, alpha=-1 / lipschitz
        )
        before, weights = weights, softshrink(moved, penalty.l1 / lipschitz)
        ahead = torch.lerp(before, weights, 1 + momentum)
        if step % _LOOK_EVERY == _LOOK_EVERY - 1:
            largest = float((weights - before).abs().max())
            if largest * lipschitz < tolerance * penalty.l1:
                break
    return np.asarray(weights.numpy().T)
