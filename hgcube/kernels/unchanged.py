"""Folds in which no feature changes between active and not: fitted and checked together (compiled).

Most features are so far from their threshold that no fold can take them there: by how much the
gradient of a feature moves is bounded, over all folds, by the largest held-out residual and the
largest changes of weights. Those that this bound leaves near are computed in every fold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import (
    INLINED,
    LENT,
    MARGIN,
    OPTIONS,
    TOLERANCE,
    Flags,
    Floats,
    Ints,
    flagged,
    new_flags,
)
from hgcube.kernels.solution import Held, Solution, times


class Folds(NamedTuple):
    """Words left out, thresholds of their folds (fold,), and l1 and l2 of all words' solution."""

    held: Held
    l1s: Floats
    l1: float
    l2: float


class LeftOut(NamedTuple):
    """Per fold: held-out residual, features with a weight, and whether all conditions are met."""

    residuals: Floats
    counts: Ints
    met: Flags


class Screening(NamedTuple):
    """Room for `fit_unchanged`.

    changes (active, fold): by how much weights fall. bounds, near (feature,), flags: of features,
    and their numbers. products (feature times active,), pulls, few (feature times fold,): of some
    features with the changes in some folds. left, inverse, worst, met (fold,): of each fold.
    """

    changes: Floats
    bounds: Floats
    flags: Flags
    near: Ints
    products: Floats
    pulls: Floats
    few: Floats
    left: Floats
    inverse: Floats
    worst: Floats
    met: Ints


@njit(**OPTIONS)
def new_screening(n_folds: int, n_features: int) -> Screening:
    """Return room for `fit_unchanged`."""
    return Screening(
        np.empty((n_features, n_folds)),
        np.empty(n_features),
        new_flags(n_features),
        np.empty(n_features, np.int64),
        np.empty(n_features * n_features),
        np.empty(n_features * n_folds),
        np.empty(n_features * n_folds),
        np.empty(n_folds),
        np.empty(n_folds),
        np.empty(n_folds),
        np.empty(n_folds, np.int64),
    )


@njit(**OPTIONS)
def fit_unchanged(
    solution: Solution,
    targets: Floats,
    folds: Folds,
    room: Screening,
    beyond: Flags,
    out: LeftOut,
) -> np.int64:
    """Take every fold to have all words' active features; met where that meets all conditions.

    Parameters
    ----------
    solution, folds, room
        See there.
    targets : (word,) float64
    beyond : (feature,) bool
        Set where a feature is beyond its bounds in some fold, cleared elsewhere.
    out : LeftOut
        Overwritten.

    Returns
    -------
    int
        Features in ``room.near``, which have no weight and may be at their threshold in some fold.
    """
    changes = room.changes[: solution.members.size]
    count = _find_near(solution, targets, folds, room, out)
    beyond[:] = False
    pulls = _pulls(solution, room.near, count, changes, room)
    n_met = _check_near(solution, folds, pulls, room, beyond, out)
    few = room.few[: len(changes) * n_met].reshape(len(changes), n_met)
    _select(changes, room.met, few)
    pulls = _pulls(solution, solution.members, len(changes), few, room)
    _check_members(solution, folds, few, pulls, room, out)
    return count


@njit(**LENT)
def _find_near(
    solution: Solution,
    targets: Floats,
    folds: Folds,
    room: Screening,
    out: LeftOut,
) -> np.int64:
    """Write what every fold would be without changes; return how many features may change."""
    for f in range(room.left.size):
        room.left[f], room.worst[f] = targets[folds.held.words[f]], 0.0
        room.inverse[f] = 1.0 / folds.l1s[f]
    largest = _fill_changes(solution, folds, room.changes, out)
    return _fill_near(solution, folds, largest, room)


@njit(**LENT)
def _select(changes: Floats, chosen: Ints, out: Floats) -> None:
    """Write the columns that are chosen."""
    for a in range(len(out)):
        for i in range(out.shape[1]):
            out[a, i] = changes[a, chosen[i]]


@njit(**INLINED)
def _fill_changes(solution: Solution, folds: Folds, changes: Floats, out: LeftOut) -> float:
    """Write held-out residuals, and by how much weights fall; return the largest residual."""
    largest = 0.0
    for f in range(out.residuals.size):
        shift, correction = folds.l1s[f] - folds.l1, folds.held.corrections[f]
        residual = solution.residual[f] + shift * solution.tilt[f]
        out.residuals[f] = correction * residual / (1.0 - correction * solution.leverage[f])
    for f in range(out.residuals.size):
        largest = max(largest, abs(out.residuals[f]))
    for a in range(solution.members.size):
        along, turns, row = solution.along_l1[a], solution.turns[a], changes[a]
        for f in range(row.size):
            row[f] = (folds.l1s[f] - folds.l1) * along + out.residuals[f] * turns[f]
    return largest


@njit(**INLINED)
def _fill_near(solution: Solution, folds: Folds, largest: float, room: Screening) -> np.int64:
    """Find the features without a weight that may be at their threshold in some fold."""
    gradient, bounds, flags, least = solution.gradient, room.bounds, room.flags, np.inf
    for f in range(folds.l1s.size):
        least = min(least, folds.l1s[f])
    for m in range(gradient.size):
        bounds[m] = abs(gradient[m]) + largest * folds.held.reach[m]
    for a in range(solution.members.size):
        most, changes, row = 0.0, room.changes[a], solution.rows[a]
        for f in range(changes.size):
            most = max(most, abs(changes[f]))
        for m in range(gradient.size):
            bounds[m] += most * abs(row[m])
    least *= 1.0 - MARGIN
    for m in range(gradient.size):
        flags[m] = not bounds[m] < least
    for a in range(solution.members.size):
        flags[solution.members[a]] = False
    return flagged(flags, room.near)


@njit(**OPTIONS)
def _pulls(
    solution: Solution, features: Ints, count: int, changes: Floats, room: Screening
) -> Floats:
    """Return what changes of the weights do to the gradients of the first `count` features."""
    n_active, n_folds = changes.shape
    products = room.products[: count * n_active].reshape(count, n_active)
    _gather(solution.rows, features, products)
    pulls = room.pulls[: count * n_folds].reshape(count, n_folds)
    times(products, changes, pulls)
    return pulls


@njit(**LENT)
def _gather(rows: Floats, features: Ints, out: Floats) -> None:
    """Write the columns of the features as rows."""
    for i in range(len(out)):
        for a in range(len(rows)):
            out[i, a] = rows[a, features[i]]


@njit(**LENT)
def _check_near(
    solution: Solution,
    folds: Folds,
    pulls: Floats,
    room: Screening,
    beyond: Flags,
    out: LeftOut,
) -> np.int64:
    """Hold features without a weight to their thresholds, and weights to their signs.

    Writes and returns which folds, and how many, met both.
    """
    _check_gradients(solution, folds, pulls, room, out.residuals, beyond)
    for f in range(out.met.size):
        out.counts[f] = solution.members.size
        out.met[f] = room.worst[f] <= 1.0 + MARGIN
    _check_signs(solution, folds, room, beyond, out)
    n_met = np.int64(0)
    for f in range(out.met.size):
        if out.met[f]:
            room.met[n_met] = f
            n_met += 1
    return n_met


@njit(**INLINED)
def _check_gradients(
    solution: Solution,
    folds: Folds,
    pulls: Floats,
    room: Screening,
    residuals: Floats,
    beyond: Flags,
) -> None:
    """Raise each fold's worst gradient, in parts of its threshold; flag features beyond theirs."""
    worst, inverse = room.worst, room.inverse
    for i in range(len(pulls)):
        j, pull, outside = room.near[i], pulls[i], 0
        start, row = solution.gradient[j], folds.held.features[j]
        for f in range(worst.size):
            gradient = abs(start - residuals[f] * row[f] + pull[f]) * inverse[f]
            worst[f] = gradient if gradient > worst[f] else worst[f]
            outside += gradient > 1.0 + MARGIN
        beyond[j] = outside > 0


@njit(**INLINED)
def _check_signs(
    solution: Solution,
    folds: Folds,
    room: Screening,
    beyond: Flags,
    out: LeftOut,
) -> None:
    """Hold the weights to their signs, and the held-out residuals to the weights."""
    left = room.left
    for a in range(solution.members.size):
        sign, base, turned = solution.signs[a], solution.weights[a], 0
        own, changes = solution.own[a], room.changes[a]
        for f in range(left.size):
            weight = base - changes[f]
            left[f] -= own[f] * weight
            kept = weight * sign > 0.0
            out.met[f] &= kept
            turned += not kept
        beyond[solution.members[a]] = turned > 0
    for f in range(left.size):
        off = abs(folds.held.corrections[f] * left[f] - out.residuals[f])
        out.met[f] &= off <= TOLERANCE * (abs(out.residuals[f]) + folds.l1s[f])


@njit(**LENT)
def _check_members(
    solution: Solution,
    folds: Folds,
    changes: Floats,
    pulls: Floats,
    room: Screening,
    out: LeftOut,
) -> None:
    """Hold the weights of the folds that met all else to their own conditions."""
    for a in range(len(changes)):
        j, sign, base = solution.members[a], solution.signs[a], solution.weights[a]
        start, row = solution.gradient[j], folds.held.features[j]
        for i in range(changes.shape[1]):
            f = room.met[i]
            left = start - out.residuals[f] * row[f] + pulls[a, i]
            off = left - folds.l2 * (base - changes[a, i]) - folds.l1s[f] * sign
            out.met[f] &= abs(off) <= TOLERANCE * folds.l1s[f]
