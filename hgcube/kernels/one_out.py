"""All folds of one target by pivots, and the check of each (compiled)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import (
    INLINED,
    LENT,
    OPTIONS,
    TOLERANCE,
    Flags,
    Floats,
    Ints,
    Problem,
    flagged,
    new_flags,
)
from hgcube.kernels.pivots import MOST_CHANGES, Changes, Fold, pivot
from hgcube.kernels.tableau import Columns, Tableau, add_columns
from hgcube.kernels.walking import walk


class Entered(NamedTuple):
    """Features that got a weight in a fold alone: (fold, change), `counts` (fold,) of them."""

    features: Ints
    weights: Floats
    counts: Ints


class Folds(NamedTuple):
    """Words left out one by one, their corrections and thresholds; l1 and l2 of the tableau."""

    words: Ints
    corrections: Floats
    l1s: Floats
    l1: float
    l2: float


class LeftOut(NamedTuple):
    """Per fold: held-out residual, features with a weight, and whether all conditions are met."""

    residuals: Floats
    counts: Ints
    met: Flags


@njit(**OPTIONS)
def _check(
    problem: Problem,
    tableau: Tableau,
    folds: Folds,
    weights: Floats,
    room: Pivoting,
    out: LeftOut,
) -> None:
    """Count each fold's weights, and hold them to the conditions of all features.

    Nothing but the weights and residuals is taken from the tableau.
    """
    (n_folds, n_active), entered, fitted = weights.shape, room.entered, room.fitted
    union, column = _union(problem.products.size, tableau.members, entered)
    everything, rows = (
        np.zeros((n_folds, union.size)),
        np.empty((union.size, problem.products.size)),
    )
    for a in range(union.size):
        rows[a] = problem.gram[union[a]]
    for f in range(n_folds):
        everything[f, :n_active] = weights[f]
        for i in range(entered.counts[f]):
            everything[f, column[entered.features[f, i]]] = entered.weights[f, i]
    np.dot(everything, rows, out=fitted)
    _check_each(problem, folds, union, everything, fitted, room.values, out)


@njit(**LENT)
def _check_each(
    problem: Problem,
    folds: Folds,
    union: Ints,
    everything: Floats,
    fitted: Floats,
    left: Floats,
    out: LeftOut,
) -> None:
    """Do so fold by fold, with the fitted part of the gradient; `left` is room."""
    for f in range(folds.words.size):
        if out.met[f]:
            row, g = problem.features[folds.words[f]], out.residuals[f]
            for m in range(left.size):
                left[m] = problem.products[m] - g * row[m] - fitted[f, m]
            out.counts[f], met = _met(left, union, everything[f], folds.l1s[f], folds.l2)
            # The held-out residual itself must be that of these weights.
            own = problem.target[folds.words[f]]
            for a in range(union.size):
                own -= row[union[a]] * everything[f, a]
            off = abs(folds.corrections[f] * own - g)
            out.met[f] = met and off <= TOLERANCE * (abs(g) + folds.l1s[f])


@njit(**OPTIONS)
def _union(n_features: int, members: Ints, entered: Entered) -> tuple[Ints, Ints]:
    """Return the features with a weight in any fold, and the place of each."""
    column, union, count = np.full(n_features, -1, np.int64), np.empty(n_features, np.int64), 0
    for j in members:
        union[count], column[j] = j, count
        count += 1
    for f in range(entered.counts.size):
        for j in entered.features[f, : entered.counts[f]]:
            if column[j] < 0:
                union[count], column[j] = j, count
                count += 1
    return union[:count], column


@njit(**INLINED)
def _met(left: Floats, union: Ints, weights: Floats, l1: float, l2: float) -> tuple[int, bool]:
    """Return the number of weights, and whether all conditions are met; `left` is used up."""
    count, beyond = 0, 0
    for a in range(union.size):
        weight = weights[a]
        if weight != 0.0:
            count += 1
            off = left[union[a]] - l2 * weight - l1 * np.sign(weight)
            beyond += not abs(off) <= TOLERANCE * l1
            left[union[a]] = 0.0
    limit = l1 * (1.0 + TOLERANCE)
    for m in range(left.size):
        beyond += abs(left[m]) > limit
    return count, beyond == 0


class Pivoting(NamedTuple):
    """Room for `leave_one_out`; weights of the tableau's own features come with each call."""

    columns: Columns
    changes: Changes
    entered: Entered
    values: Floats
    fitted: Floats


@njit(**OPTIONS)
def new_pivoting(n_folds: int, n_features: int) -> Pivoting:
    """Return room for `leave_one_out`."""
    most = MOST_CHANGES
    return Pivoting(
        Columns(
            np.empty(n_features, np.int64),
            np.empty((n_features, n_features)),
            np.zeros(1, np.int64),
        ),
        Changes(
            np.empty(most, np.int64),
            np.empty(most),
            np.empty(most),
            np.empty(most),
            np.zeros(most, np.bool_),
            np.empty(most),
            np.empty((most, most)),
            new_flags(n_features),
        ),
        Entered(
            np.empty((n_folds, most), np.int64),
            np.empty((n_folds, most)),
            np.zeros(n_folds, np.int64),
        ),
        np.empty(n_features),
        np.empty((n_folds, n_features)),
    )


@njit(**LENT)
def _residuals_alone(tableau: Tableau, folds: Folds, beyond: Flags, out: LeftOut) -> None:
    """Take every fold to have all words' active features; met where that goes beyond no bound.

    Features beyond theirs in any fold are flagged.
    """
    values, along, lower, upper = tableau.values, tableau.along_l1, tableau.lower, tableau.upper
    for f in range(folds.words.size):
        word, correction, l1 = folds.words[f], folds.corrections[f], folds.l1s[f]
        shift, direction, outside = l1 - folds.l1, tableau.directions[word], 0
        residual = tableau.residual[word] + shift * tableau.tilt[word]
        g = correction * residual / (1.0 - correction * tableau.leverage[word])
        for m in range(values.size):
            value = values[m] - shift * along[m] - g * direction[m]
            outside += (value > l1 * upper[m]) | (value < l1 * lower[m])
        out.residuals[f], out.met[f] = g, outside == 0
        for m in range(values.size if outside else 0):
            value = values[m] - shift * along[m] - g * direction[m]
            beyond[m] |= (value > l1 * upper[m]) | (value < l1 * lower[m])


@njit(**OPTIONS)
def _numbers(flags: Flags) -> Ints:
    numbers = np.empty(flags.size, np.int64)
    return numbers[: flagged(flags, numbers)]


@njit(**OPTIONS)
def leave_one_out(
    problem: Problem, tableau: Tableau, folds: Folds, room: Pivoting, out: LeftOut
) -> None:
    """Fit every fold, and check it.

    Parameters
    ----------
    problem, tableau
        All words, and their solution at `l1` and `l2` of `folds`.
    folds : Folds
    room : Pivoting
    out : LeftOut
        Overwritten. Where a fold is not met its numbers mean nothing.
    """
    weights, entered = np.empty((folds.words.size, tableau.members.size)), room.entered
    room.columns.slot[:] = -1
    room.columns.made[0] = 0
    entered.counts[:] = 0
    beyond = new_flags(tableau.values.size)
    _residuals_alone(tableau, folds, beyond, out)
    add_columns(problem, tableau, folds.l2, _numbers(beyond), room.columns)
    for f in range(folds.words.size):
        word, shift = folds.words[f], folds.l1s[f] - folds.l1
        if out.met[f]:
            direction = tableau.directions[word]
            for a in range(tableau.members.size):
                j = tableau.members[a]
                weights[f, a] = (
                    tableau.values[j]
                    - shift * tableau.along_l1[j]
                    - out.residuals[f] * direction[j]
                )
        else:
            fold = Fold(word, folds.corrections[f], shift, folds.l1s[f], folds.l2)
            g, count = pivot(problem, tableau, fold, room.columns, room.changes, room.values)
            if count < 0:
                g, count = walk(problem, tableau, fold, room.columns, room.changes, room.values)
            out.residuals[f], out.met[f] = g, count >= 0
            for a in range(tableau.members.size):
                weights[f, a] = room.values[tableau.members[a]]
            _note(tableau, room.changes, count, weights[f], f, entered)
    _check(problem, tableau, folds, weights, room, out)


@njit(**INLINED)
def _note(
    tableau: Tableau, changes: Changes, count: int, weights: Floats, fold: int, entered: Entered
) -> None:
    """Keep a fold's weights that are not in the tableau, or have the other sign there."""
    n_entered = 0
    for i in range(count):
        place = tableau.place[changes.features[i]]
        if place < 0:
            entered.features[fold, n_entered] = changes.features[i]
            entered.weights[fold, n_entered] = changes.moves[i]
            n_entered += 1
        elif changes.turned[i]:
            weights[place] = changes.weights[i]
    entered.counts[fold] = n_entered
