"""How the features near their bounds move in the folds, for `hgcube.kernels.pivots`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import LENT, MARGIN, OPTIONS, Floats, Ints, Problem
from hgcube.kernels.solution import Held, Solution, times

_FREE = 1e300


class Tableau(NamedTuple):
    """All words' solution as one number x per candidate: its weight if active, else its gradient.

    Candidates are the active features and, behind them, those that a fold may make so; here they go
    by their number among the candidates. features (candidate,): in the problem. values, along_l1
    (candidate,): x, and its fall per unit of l1. lower, upper (candidate,): bounds of x in parts of
    l1. rows (active, other candidate): of the Gram matrix. directions (fold, candidate): fall of x
    per unit of the held-out residual, of the folds that were asked for.
    """

    solution: Solution
    features: Ints
    values: Floats
    along_l1: Floats
    lower: Floats
    upper: Floats
    rows: Floats
    directions: Floats


class Columns(NamedTuple):
    """Columns of the tableau so far: slot (candidate,) or -1, columns by slot, their number."""

    slot: Ints
    values: Floats
    made: Ints


@njit(**OPTIONS)
def build(problem: Problem, solution: Solution, held: Held, near: Ints, unmet: Ints) -> Tableau:
    """Return the tableau of a solution, with the directions of the folds `unmet`.

    Parameters
    ----------
    problem, solution, held
        See there.
    near : (any,) int
        Features without a weight that are candidates.
    unmet : (any,) int
        Folds.

    Returns
    -------
    Tableau
    """
    n_active = solution.members.size
    features = np.concatenate((solution.members, near))
    tableau = Tableau(
        solution,
        features,
        np.empty(features.size),
        np.empty(features.size),
        np.empty(features.size),
        np.empty(features.size),
        np.empty((n_active, near.size)),
        np.empty((held.words.size, features.size)),
    )
    _fill(tableau)
    turns = np.empty((unmet.size, n_active))
    for i in range(unmet.size):
        for a in range(n_active):
            turns[i, a] = solution.turns[a, unmet[i]]
    fitted = np.empty((unmet.size, near.size))
    times(turns, tableau.rows, fitted)
    _fill_directions(problem, tableau, held, unmet, turns, fitted)
    return tableau


@njit(**LENT)
def _fill(tableau: Tableau) -> None:
    solution, n_active = tableau.solution, tableau.solution.members.size
    for a in range(n_active):
        row = solution.rows[a]
        for m in range(tableau.rows.shape[1]):
            tableau.rows[a, m] = row[tableau.features[n_active + m]]
    for m in range(n_active, tableau.features.size):
        tableau.values[m] = solution.gradient[tableau.features[m]]
        tableau.lower[m], tableau.upper[m] = -1.0 - MARGIN, 1.0 + MARGIN
        along = 0.0
        for a in range(n_active):
            along -= solution.along_l1[a] * tableau.rows[a, m - n_active]
        tableau.along_l1[m] = along
    for a in range(n_active):
        positive = solution.signs[a] > 0.0
        tableau.values[a], tableau.along_l1[a] = solution.weights[a], solution.along_l1[a]
        tableau.lower[a] = 0.0 if positive else -_FREE
        tableau.upper[a] = _FREE if positive else 0.0


@njit(**LENT)
def _fill_directions(
    problem: Problem, tableau: Tableau, held: Held, unmet: Ints, turns: Floats, fitted: Floats
) -> None:
    n_active = turns.shape[1]
    for i in range(unmet.size):
        direction, own = tableau.directions[unmet[i]], problem.features[held.words[unmet[i]]]
        for a in range(n_active):
            direction[a] = turns[i, a]
        for m in range(n_active, direction.size):
            direction[m] = own[tableau.features[m]] - fitted[i, m - n_active]


@njit(**OPTIONS)
def add_columns(
    problem: Problem, tableau: Tableau, l2: float, wanted: Ints, columns: Columns
) -> None:
    """Compute the columns of candidates that have none yet.

    Each is the candidate's row of the inverse if it is active, else its Schur complement.
    """
    new = np.empty(wanted.size, np.int64)
    count = _claim(wanted, columns, new)
    if count == 0:
        return
    solution, first = tableau.solution, columns.made[0]
    n_active = solution.members.size
    own, moved = np.empty((count, n_active)), np.empty((count, n_active))
    for i in range(count):
        row = problem.gram[tableau.features[new[i]]]
        for a in range(n_active):
            own[i, a] = row[solution.members[a]]
    times(own, solution.inverse, moved)
    for i in range(count):
        if new[i] < n_active:
            moved[i] = solution.inverse[new[i]]
    fitted = np.empty((count, tableau.rows.shape[1]))
    times(moved, tableau.rows, fitted)
    for i in range(count):
        column = columns.values[first + i, : tableau.features.size]
        _fill_column(problem, tableau, l2, new[i], moved[i], fitted[i], column)
    columns.made[0] += count


@njit(**LENT)
def _claim(wanted: Ints, columns: Columns, new: Ints) -> np.int64:
    """Give slots to the candidates without one, and write which these are."""
    count = np.int64(0)
    for candidate in wanted:
        if columns.slot[candidate] < 0:
            columns.slot[candidate] = columns.made[0] + count
            new[count] = candidate
            count += 1
    return count


@njit(**LENT)
def _fill_column(
    problem: Problem,
    tableau: Tableau,
    l2: float,
    candidate: int,
    moved: Floats,
    fitted: Floats,
    column: Floats,
) -> None:
    row, n_active = problem.gram[tableau.features[candidate]], moved.size
    for a in range(n_active):
        column[a] = moved[a]
    for m in range(n_active, column.size):
        column[m] = -fitted[m - n_active]
    if candidate >= n_active:
        for m in range(n_active, column.size):
            column[m] += row[tableau.features[m]]
        column[candidate] += l2


@njit(**OPTIONS)
def forget(columns: Columns) -> None:
    """Start with no column."""
    columns.slot[:] = -1
    columns.made[0] = 0
