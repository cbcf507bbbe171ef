"""All words' elastic net of one target and how it moves, for `hgcube.kernels.pivots`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import MARGIN, OPTIONS, Active, Floats, Ints, Problem

_FREE = 1e300


class Tableau(NamedTuple):
    """All words' solution and how it moves.

    values, along_l1 (feature,): x, and its fall per unit of l1. lower, upper (feature,): bounds
    of x in parts of l1. place (feature,): number in `members`, or -1. members, signs, weights
    (active,). inverse (active, active): of H; rows (active, feature): of the Gram matrix.
    directions (word, feature); residual, leverage, tilt (word,): of each word under the solution,
    in its direction, and per unit of l1.
    """

    values: Floats
    along_l1: Floats
    lower: Floats
    upper: Floats
    place: Ints
    members: Ints
    signs: Floats
    inverse: Floats
    rows: Floats
    directions: Floats
    residual: Floats
    leverage: Floats
    tilt: Floats


class Columns(NamedTuple):
    """Columns of the tableau made so far: slot (feature,) or -1, columns by slot, their number."""

    slot: Ints
    values: Floats
    made: Ints


@njit(**OPTIONS)
def build(problem: Problem, active: Active, count: int, gradient: Floats, l2: float) -> Tableau:
    """Return the tableau of the solution in `active`, whose gradient is given."""
    members, signs = active.members[:count].copy(), active.signs[:count].copy()
    weights, rows = active.weights[:count].copy(), problem.gram[active.members[:count]]
    own = np.ascontiguousarray(problem.features[:, members])
    inverse = np.empty((count, count))
    if count:
        inverse[:] = np.linalg.inv(rows[:, members] + l2 * np.eye(count))
    own_directions = np.dot(own, inverse)
    directions = np.dot(own_directions, rows)
    for i in range(len(directions)):
        for m in range(directions.shape[1]):
            directions[i, m] = problem.features[i, m] - directions[i, m]
    along_own = np.dot(inverse, signs)
    along_l1 = -np.dot(along_own, rows)
    values, lower, upper = gradient.copy(), np.full_like(gradient, -1.0), np.ones_like(gradient)
    lower -= MARGIN
    upper += MARGIN
    place = np.full(values.size, -1, np.int64)
    for a in range(count):
        j = members[a]
        place[j], values[j], along_l1[j] = a, weights[a], along_own[a]
        lower[j] = 0.0 if signs[a] > 0.0 else -_FREE
        upper[j] = _FREE if signs[a] > 0.0 else 0.0
        directions[:, j] = own_directions[:, a]
    return Tableau(
        values,
        along_l1,
        lower,
        upper,
        place,
        members,
        signs,
        inverse,
        rows,
        directions,
        problem.target - np.dot(own, weights),
        (own * own_directions).sum(axis=1),
        np.dot(own, along_own),
    )


@njit(**OPTIONS)
def add_columns(
    problem: Problem, tableau: Tableau, l2: float, features: Ints, columns: Columns
) -> None:
    """Compute the columns of features that have none yet.

    Each is the feature's row of the inverse if it is active, else its Schur complement.
    """
    members, first, missing = tableau.members, columns.made[0], np.int64(0)
    for feature in features:
        missing += columns.slot[feature] < 0
    if missing == 0:
        return
    new = features[columns.slot[features] < 0]
    values, inactive = problem.gram[new], tableau.place[new] < 0
    own = np.dot(np.ascontiguousarray(values[:, members]), tableau.inverse)
    for own_row in np.flatnonzero(~inactive):
        own[own_row], values[own_row] = tableau.inverse[tableau.place[new[own_row]]], 0.0
    values -= np.dot(own, tableau.rows)
    for i in range(new.size):
        column = columns.values[first + i]
        column[:] = values[i]
        for a in range(members.size):
            column[members[a]] = own[i, a]
        column[new[i]] += l2 * inactive[i]
        columns.slot[new[i]] = first + i
    columns.made[0] += new.size
