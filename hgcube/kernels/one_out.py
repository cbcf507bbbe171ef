"""All folds of one target that leave out one word each, and the check of each (compiled)."""

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
    new_flags,
)
from hgcube.kernels.exchanges import Changes, Fold
from hgcube.kernels.pivots import MOST_CHANGES, pivot
from hgcube.kernels.solution import Solution, times
from hgcube.kernels.tableau import Columns, Tableau, add_columns, build, forget
from hgcube.kernels.unchanged import Folds, LeftOut, Screening, fit_unchanged, new_screening


class Entered(NamedTuple):
    """Features that got a weight in a fold alone: (fold, change), `counts` (fold,) of them."""

    features: Ints
    weights: Floats
    counts: Ints


class Pivoting(NamedTuple):
    """Room for `leave_one_out`."""

    columns: Columns
    changes: Changes
    entered: Entered
    values: Floats
    beyond: Flags
    screening: Screening


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
            np.empty(most),
            new_flags(n_features),
        ),
        Entered(
            np.empty((n_folds, most), np.int64),
            np.empty((n_folds, most)),
            np.zeros(n_folds, np.int64),
        ),
        np.empty(n_features),
        new_flags(n_features),
        new_screening(n_folds, n_features),
    )


@njit(**OPTIONS)
def leave_one_out(
    problem: Problem, solution: Solution, folds: Folds, room: Pivoting, out: LeftOut
) -> None:
    """Fit every fold, and check it.

    Parameters
    ----------
    problem, solution
        All words, and their solution at `l1` and `l2` of `folds`.
    folds : Folds
    room : Pivoting
    out : LeftOut
        Overwritten. Where a fold is not met its numbers mean nothing.
    """
    n_near = fit_unchanged(solution, problem.target, folds, room.screening, room.beyond, out)
    unmet = np.flatnonzero(~out.met)
    if unmet.size == 0:
        return
    tableau = build(problem, solution, folds.held, room.screening.near[:n_near], unmet)
    forget(room.columns)
    beyond = np.flatnonzero(room.beyond[tableau.features])
    add_columns(problem, tableau, folds.l2, beyond, room.columns)
    weights = np.empty((unmet.size, solution.members.size))
    _change(problem, tableau, folds, unmet, weights, room, out)
    _check(problem, tableau, folds, unmet, weights, room, out)


@njit(**LENT)
def _change(
    problem: Problem,
    tableau: Tableau,
    folds: Folds,
    unmet: Ints,
    weights: Floats,
    room: Pivoting,
    out: LeftOut,
) -> None:
    """Find what changes in each unmet fold, and its weights."""
    values = room.values[: tableau.features.size]
    for i in range(unmet.size):
        f = unmet[i]
        fold = Fold(f, folds.held.corrections[f], folds.l1s[f] - folds.l1, folds.l1s[f], folds.l2)
        g, count = pivot(problem, tableau, fold, room.columns, room.changes, values)
        out.residuals[f], out.met[f] = g, count >= 0
        for a in range(weights.shape[1]):
            weights[i, a] = values[a]
        _note(tableau, room.changes, count, weights[i], i, room.entered)


@njit(**INLINED)
def _note(
    tableau: Tableau, changes: Changes, count: int, weights: Floats, line: int, entered: Entered
) -> None:
    """Keep a fold's weights that are not in the tableau, or have the other sign there."""
    n_entered = 0
    for i in range(count):
        candidate = changes.candidates[i]
        if candidate >= weights.size:
            entered.features[line, n_entered] = tableau.features[candidate]
            entered.weights[line, n_entered] = changes.moves[i]
            n_entered += 1
        elif changes.turned[i]:
            weights[candidate] = changes.weights[i]
    entered.counts[line] = n_entered


@njit(**OPTIONS)
def _check(
    problem: Problem,
    tableau: Tableau,
    folds: Folds,
    unmet: Ints,
    weights: Floats,
    room: Pivoting,
    out: LeftOut,
) -> None:
    """Count weights of the folds that changed, and hold them to the conditions of all features.

    Nothing but the weights and residuals is taken from the tableau.
    """
    (n_unmet, n_active), entered = weights.shape, room.entered
    union, column = _union(problem.products.size, tableau.solution.members, entered, n_unmet)
    everything = np.zeros((n_unmet, union.size))
    fitted = np.empty((n_unmet, problem.products.size))
    for i in range(n_unmet):
        everything[i, :n_active] = weights[i]
        for e in range(entered.counts[i]):
            everything[i, column[entered.features[i, e]]] = entered.weights[i, e]
    times(everything, problem.gram[union], fitted)
    _check_each(problem, folds, unmet, union, everything, fitted, out)


@njit(**LENT)
def _check_each(
    problem: Problem,
    folds: Folds,
    unmet: Ints,
    union: Ints,
    everything: Floats,
    fitted: Floats,
    out: LeftOut,
) -> None:
    """Check fold by fold; `fitted`, their parts of the gradient, is used up."""
    products = problem.products
    for i in range(unmet.size):
        f, left, weights = unmet[i], fitted[i], everything[i]
        if out.met[f]:
            row, g, own = problem.features[folds.held.words[f]], out.residuals[f], 0.0
            for m in range(left.size):
                left[m] = products[m] - g * row[m] - left[m]
            out.counts[f], met = _met(left, union, weights, folds.l1s[f], folds.l2)
            # The held-out residual itself must be that of these weights.
            for a in range(union.size):
                own += row[union[a]] * weights[a]
            off = abs(folds.held.corrections[f] * (problem.target[folds.held.words[f]] - own) - g)
            out.met[f] = met and off <= TOLERANCE * (abs(g) + folds.l1s[f])


@njit(**OPTIONS)
def _union(n_features: int, members: Ints, entered: Entered, n_unmet: int) -> tuple[Ints, Ints]:
    """Return the features with a weight in any unmet fold, and the place of each."""
    column, union, count = np.full(n_features, -1, np.int64), np.empty(n_features, np.int64), 0
    for j in members:
        union[count], column[j] = j, count
        count += 1
    for i in range(n_unmet):
        for e in range(entered.counts[i]):
            j = entered.features[i, e]
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
