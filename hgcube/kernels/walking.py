"""Pivots one at a time, where blocks of them cycle (compiled)."""

from __future__ import annotations

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import OPTIONS, Floats, Problem
from hgcube.kernels.pivots import MOST_CHANGES, Changes, Fold, fill_values, solve_changes
from hgcube.kernels.tableau import Columns, Tableau, add_columns

_FAR = 1e300
# What changed last stands on its bound: it is not met again within this part of the way.
_JUST_NOW = 1e-9


@njit(**OPTIONS)
def walk(
    problem: Problem,
    tableau: Tableau,
    fold: Fold,
    columns: Columns,
    changes: Changes,
    values: Floats,
) -> tuple[float, np.int64]:
    """Do as `pivot`, change by change on the way from g = 0, between which x is linear in g.

    A homotopy: slower, but it cannot cycle. Only for folds with the tableau's own l1.
    """
    count, g, last, slopes = np.int64(0), 0.0, -1, np.empty(values.size)
    for _ in range(4 * values.size if fold.shift == 0.0 else 0):
        end = solve_changes(tableau, fold, columns, changes, count)
        for i in range(count):
            changes.moves[i] += (end - g) * changes.per_residual[i]
        fill_values(tableau, fold, g, columns, changes, count, values)
        _fill_slopes(tableau, fold, columns, changes, count, slopes)
        way = end - g
        distances = _distances(tableau, fold, changes, count, values, slopes, np.sign(way))
        last, step = _first_hit(distances, way, last)
        g += step
        for m in range(values.size):
            values[m] -= step * slopes[m]
        if last < 0:
            _settle(changes, count, step, values)
            return g, count
        count = _toggle(tableau, changes, count, last, values[last], step, fold.l1)
        if count == MOST_CHANGES:
            break
        add_columns(problem, tableau, fold.l2, np.full(1, last), columns)
    return 0.0, np.int64(-1)


@njit(**OPTIONS)
def _settle(changes: Changes, count: int, step: float, values: Floats) -> None:
    """Write the changes' last moves and weights; they read 0 in `values`, as after `pivot`."""
    for i in range(count):
        changes.moves[i] -= step * changes.per_residual[i]
        changes.weights[i] = values[changes.features[i]]
        values[changes.features[i]] = 0.0


@njit(**OPTIONS)
def _fill_slopes(
    tableau: Tableau, fold: Fold, columns: Columns, changes: Changes, count: int, slopes: Floats
) -> None:
    """Write by how much x of each feature falls per unit of g."""
    slopes[:] = tableau.directions[fold.word]
    for i in range(count):
        column = columns.values[columns.slot[changes.features[i]]]
        for m in range(slopes.size):
            slopes[m] -= changes.per_residual[i] * column[m]


@njit(**OPTIONS)
def _first_hit(distances: Floats, way: float, last: int) -> tuple[int, float]:
    """Return the first feature at a bound on the way (-1: none), and how far that is."""
    nearest, first = abs(way), -1
    for m in range(distances.size):
        just_now = m == last and distances[m] < _JUST_NOW * abs(way)
        if distances[m] < nearest and not just_now:
            nearest, first = distances[m], m
    return first, np.sign(way) * max(nearest, 0.0)


@njit(**OPTIONS)
def _distances(
    tableau: Tableau,
    fold: Fold,
    changes: Changes,
    count: int,
    values: Floats,
    slopes: Floats,
    toward: float,
) -> Floats:
    """Return how far each feature is from its bound, to where g goes."""
    distances = np.empty(values.size)
    for m in range(values.size):
        distances[m] = _distance(
            values[m], -toward * slopes[m], fold.l1 * tableau.lower[m], fold.l1 * tableau.upper[m]
        )
    for i in range(count):
        feature = changes.features[i]
        low, high = _limits(tableau, fold, changes, i)
        if changes.turned[i]:
            speed, position = -toward * slopes[feature], values[feature]
        else:
            speed, position = -toward * changes.per_residual[i], changes.moves[i]
        distances[feature] = _distance(position, speed, low, high)
    return distances


@njit(**OPTIONS)
def _distance(position: float, speed: float, low: float, high: float) -> float:
    if speed > 0.0:
        return (high - position) / speed
    return (low - position) / speed if speed < 0.0 else _FAR


@njit(**OPTIONS)
def _limits(tableau: Tableau, fold: Fold, changes: Changes, i: int) -> tuple[float, float]:
    """Return between which moves, or weights where it has turned, a change holds."""
    place = tableau.place[changes.features[i]]
    if place < 0:
        return (0.0, _FAR) if changes.bounds[i] > 0.0 else (-_FAR, 0.0)
    positive = tableau.signs[place] > 0.0
    if changes.turned[i]:
        return (-_FAR, 0.0) if positive else (0.0, _FAR)
    return (-2.0 * fold.l1, 0.0) if positive else (0.0, 2.0 * fold.l1)


@njit(**OPTIONS)
def _toggle(
    tableau: Tableau,
    changes: Changes,
    count: int,
    feature: int,
    value: float,
    step: float,
    l1: float,
) -> np.int64:
    """Change a feature that is at its bound; return how many changes there are."""
    place = tableau.place[feature]
    for i in range(count):
        if changes.features[i] == feature:
            move = changes.moves[i] - step * changes.per_residual[i]
            if changes.turned[i]:
                changes.turned[i] = False
                return np.int64(count)
            if place >= 0 and abs(move) > l1:
                changes.turned[i] = True
                return np.int64(count)
            changes.features[i] = changes.features[count - 1]
            changes.bounds[i] = changes.bounds[count - 1]
            changes.turned[i] = changes.turned[count - 1]
            return np.int64(count - 1)
    changes.features[count], changes.turned[count] = feature, False
    changes.bounds[count] = 0.0 if place >= 0 else np.sign(value) * l1
    return np.int64(count + 1)
