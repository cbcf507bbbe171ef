"""All words' elastic net of one target, and how its weights move when a word is left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import (
    INLINED,
    LENT,
    OPTIONS,
    Active,
    Floats,
    Ints,
    Problem,
    solve_system,
)

# Below this inner size, a call of BLAS costs more than the product.
_SMALL = 12


class Held(NamedTuple):
    """Words left out, one in each fold, the folds last so that they are computed together.

    words, corrections (fold,): their numbers, and 1/(1 - leverage) in the unpenalised fit.
    features (feature, fold): theirs, residualised; reach (feature,): the largest of these, and
    reaches: the least and the largest reach.
    """

    words: Ints
    corrections: Floats
    features: Floats
    reach: Floats
    reaches: tuple[float, float]


class Solution(NamedTuple):
    """All words' solution, with H the active features' Gram matrix plus the ridge term.

    members, signs, weights, along_l1 (active,): along_l1 is their fall per unit of l1. inverse
    (active, active): of H. rows (active, feature): of the Gram matrix. gradient (feature,): of the
    squared error. own, turns (active, fold): the held-out word's features, and H^-1 times these.
    residual, leverage, tilt (fold,): of each word under the solution, in its direction, and per
    unit of l1.
    """

    members: Ints
    signs: Floats
    weights: Floats
    along_l1: Floats
    inverse: Floats
    rows: Floats
    gradient: Floats
    own: Floats
    turns: Floats
    residual: Floats
    leverage: Floats
    tilt: Floats


@njit(**OPTIONS)
def describe(
    problem: Problem, held: Held, active: Active, count: int, gradient: Floats, l2: float
) -> Solution:
    """Return the solution in `active`, whose gradient is given."""
    members, signs = active.members[:count].copy(), active.signs[:count].copy()
    weights = active.weights[:count].copy()
    rows, own = problem.gram[members], held.features[members]
    inverse, turns = np.empty((count, count)), np.empty_like(own)
    _invert(rows, members, l2, inverse)
    times(inverse, own, turns)
    along_l1 = np.zeros(count)
    n_folds = held.words.size
    residual, leverage, tilt = np.empty(n_folds), np.zeros(n_folds), np.zeros(n_folds)
    for f in range(n_folds):
        residual[f] = problem.target[held.words[f]]
    for a in range(count):
        for b in range(count):
            along_l1[a] += inverse[a, b] * signs[b]
        for f in range(n_folds):
            residual[f] -= weights[a] * own[a, f]
            leverage[f] += own[a, f] * turns[a, f]
            tilt[f] += along_l1[a] * own[a, f]
    return Solution(
        members,
        signs,
        weights,
        along_l1,
        inverse,
        rows,
        gradient,
        own,
        turns,
        residual,
        leverage,
        tilt,
    )


@njit(**OPTIONS)
def _invert(rows: Floats, members: Ints, l2: float, inverse: Floats) -> None:
    """Write the inverse of the active features' Gram matrix plus l2; NaN where it has none."""
    count = members.size
    system, root, across = (
        np.empty((count, count)),
        np.zeros((count, count)),
        np.empty_like(inverse),
    )
    for a in range(count):
        for b in range(count):
            system[a, b] = rows[a, members[b]]
        system[a, a] += l2
    if count and solve_system(system, count, root[0]):
        _invert_root(system, root, across)
        times(across, root, inverse)
    else:
        inverse[:] = np.nan


@njit(**LENT)
def _invert_root(system: Floats, root: Floats, across: Floats) -> None:
    """Write the inverse of a Cholesky factor, and that transposed; the diagonal is reciprocals."""
    for i in range(len(system)):
        row, weights, c = root[i], system[i], 0
        while c + 4 <= i:
            w0, w1, w2, w3 = weights[c], weights[c + 1], weights[c + 2], weights[c + 3]
            r0, r1, r2, r3 = root[c], root[c + 1], root[c + 2], root[c + 3]
            for m in range(c + 4):
                row[m] -= w0 * r0[m] + w1 * r1[m] + w2 * r2[m] + w3 * r3[m]
            c += 4
        while c < i:
            w0, r0 = weights[c], root[c]
            for m in range(c + 1):
                row[m] -= w0 * r0[m]
            c += 1
        row[i] = 1.0
        for m in range(i + 1):
            row[m] *= weights[i]
            across[m, i] = row[m]
            across[i, m] = 0.0
        across[i, i] = row[i]


@njit(**OPTIONS)
def times(left: Floats, right: Floats, out: Floats) -> None:
    """Write the product of two C-contiguous matrices."""
    if left.shape[1] > _SMALL:
        np.dot(left, right, out)
    else:
        for i in range(len(left)):
            out[i] = 0.0
            add_rows(right, left[i], out[i])


@njit(**INLINED)
def add_rows(matrix: Floats, weights: Floats, out: Floats) -> None:
    """Do ``out += weights @ matrix``, two rows at a time."""
    a, count = 0, weights.size
    while a + 2 <= count:
        w0, w1, r0, r1 = weights[a], weights[a + 1], matrix[a], matrix[a + 1]
        for m in range(out.size):
            out[m] += w0 * r0[m] + w1 * r1[m]
        a += 2
    if a < count:
        w0, r0 = weights[a], matrix[a]
        for m in range(out.size):
            out[m] += w0 * r0[m]
