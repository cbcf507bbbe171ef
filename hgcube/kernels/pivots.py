"""Exact leave-one-out elastic nets of one target, all folds from one factorization (compiled).

At the solution for all words let H be the Gram matrix of the active features A plus the ridge
term. Every feature has one number x: its weight if active, its correlation with the residuals if
not. Leaving out word i moves all of them along one direction, ``x - g d_i``: d_i is ``X_iA H^-1``
on A and ``X_i - X_iA H^-1 X_A'X`` elsewhere, and g, the word's held-out residual, solves a scalar
equation. When feature r changes between active and not, x moves along its column of the tableau
(r's row of the inverse, or its Schur complement), the same for all folds. A fold is therefore a
system as small as the number of its changes, and nothing of the size of A is solved inside it.
The changes are found by block principal pivoting (Portugal, Judice & Vicente 1994, Math Comput
63:625), and each solution is checked afresh against the optimality conditions of all features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from hgcube.kernels.active_sets import (
    OPTIONS,
    TOLERANCE,
    Active,
    Floats,
    Ints,
    Problem,
    subtract_rows,
)

_MARGIN = 1e-11
_FREE = 1e300
# More changes in one fold than this are solved from the start instead.
_MOST_CHANGES = 128
_STEPS = 20


class Tableau(NamedTuple):
    """All words' solution and how it moves.

    values, along_l1 (feature,): x, and its fall per unit of l1. lower, upper (feature,): bounds
    of x in parts of l1. place (feature,): number in `members`, or -1. members, signs, weights
    (active,). inverse (active, active). directions (word, feature); residual, leverage, tilt
    (word,): of each word under the solution, in its direction, and per unit of l1.
    """

    values: Floats
    along_l1: Floats
    lower: Floats
    upper: Floats
    place: Ints
    members: Ints
    signs: Floats
    inverse: Floats
    directions: Floats
    residual: Floats
    leverage: Floats
    tilt: Floats


class Columns(NamedTuple):
    """Columns of the tableau made so far: slot (feature,) or -1, and the columns by slot."""

    slot: Ints
    values: Floats


class Changes(NamedTuple):
    """Features that change between active and not in one fold, the first few of each array.

    bounds: where x must come to; moves, per_residual: how far along their columns, with and per
    unit of the held-out residual; system: room.
    """

    features: Ints
    bounds: Floats
    moves: Floats
    per_residual: Floats
    system: Floats


class Fold(NamedTuple):
    """The word left out, its 1/(1 - leverage) in the unpenalised fit, and the penalties."""

    word: int
    correction: float
    shift: float
    l1: float
    l2: float


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
    directions = problem.features - np.dot(own_directions, rows)
    along_own = np.dot(inverse, signs)
    along_l1 = -np.dot(along_own, rows)
    values, lower, upper = gradient.copy(), np.full_like(gradient, -1.0), np.ones_like(gradient)
    lower -= _MARGIN
    upper += _MARGIN
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
        directions,
        problem.target - np.dot(own, weights),
        (own * own_directions).sum(axis=1),
        np.dot(own, along_own),
    )


@njit(**OPTIONS)
def _add_column(
    problem: Problem, tableau: Tableau, l2: float, feature: int, columns: Columns, slot: int
) -> None:
    """Compute the column of a feature: its row of the inverse, or its Schur complement."""
    members, inverse = tableau.members, tableau.inverse
    column, place = columns.values[slot], tableau.place[feature]
    weights = np.empty(members.size)
    if place >= 0:
        weights[:] = inverse[place]
        column[:] = 0.0
    else:
        row = problem.gram[feature]
        weights[:] = 0.0
        for c in range(members.size):
            value, other = row[members[c]], inverse[c]
            for a in range(members.size):
                weights[a] += value * other[a]
        column[:] = row
    subtract_rows(problem.gram, members, members.size, weights, column)
    for a in range(members.size):
        column[members[a]] = weights[a]
    if place < 0:
        column[feature] += l2
    columns.slot[feature] = slot


@njit(**OPTIONS)
def _moved(
    tableau: Tableau,
    fold: Fold,
    g: float,
    columns: Columns,
    changes: Changes,
    count: int,
    out: Floats,
) -> None:
    """Write x of all features in a fold: base, minus its direction, minus the changes' columns."""
    values, along, direction = tableau.values, tableau.along_l1, tableau.directions[fold.word]
    for m in range(out.size):
        out[m] = values[m] - fold.shift * along[m] - g * direction[m]
    i = 0
    while i + 4 <= count:
        t0, t1, t2, t3 = (
            changes.moves[i],
            changes.moves[i + 1],
            changes.moves[i + 2],
            changes.moves[i + 3],
        )
        c0, c1 = (
            columns.values[columns.slot[changes.features[i]]],
            columns.values[columns.slot[changes.features[i + 1]]],
        )
        c2, c3 = (
            columns.values[columns.slot[changes.features[i + 2]]],
            columns.values[columns.slot[changes.features[i + 3]]],
        )
        for m in range(out.size):
            out[m] -= t0 * c0[m] + t1 * c1[m] + t2 * c2[m] + t3 * c3[m]
        i += 4
    while i < count:
        t0, c0 = changes.moves[i], columns.values[columns.slot[changes.features[i]]]
        for m in range(out.size):
            out[m] -= t0 * c0[m]
        i += 1


@njit(**OPTIONS)
def _undo(tableau: Tableau, l1: float, changes: Changes, count: int, values: Floats) -> int:
    """Take back changes that turned out wrong; return how many stay. All of them read 0 then."""
    kept = 0
    for i in range(count):
        feature, move = changes.features[i], changes.moves[i]
        place = tableau.place[feature]
        if place >= 0:
            # Let go: its correlation, l1 sign + move, must stay within the threshold.
            right = -2.0 * l1 <= move * tableau.signs[place] <= 0.0
        else:
            right = move * changes.bounds[i] >= 0.0
        if right:
            changes.features[kept], changes.bounds[kept] = feature, changes.bounds[i]
            changes.moves[kept] = move
            kept += 1
        values[feature] = 0.0
    return kept


@njit(**OPTIONS)
def _outside(tableau: Tableau, l1: float, values: Floats) -> int:
    """Count features beyond their bounds."""
    lower, upper, outside = tableau.lower, tableau.upper, 0
    for m in range(values.size):
        outside += (values[m] > l1 * upper[m]) | (values[m] < l1 * lower[m])
    return outside


@njit(**OPTIONS)
def _change(tableau: Tableau, l1: float, values: Floats, changes: Changes, count: int) -> int:
    """Add the features beyond their bounds; return how many changes there are, or -1: too many."""
    lower, upper = tableau.lower, tableau.upper
    for m in range(values.size):
        if (values[m] > l1 * upper[m]) | (values[m] < l1 * lower[m]):
            if count == _MOST_CHANGES:
                return -1
            changes.features[count] = m
            changes.bounds[count] = 0.0 if tableau.place[m] >= 0 else np.sign(values[m]) * l1
            count += 1
    return count


@njit(**OPTIONS)
def _eliminate(system: Floats, count: int, first: Floats, second: Floats) -> None:
    """Solve for two right sides in place; the matrix has a positive definite symmetric part."""
    for i in range(count):
        for r in range(i + 1, count):
            factor = system[r, i] / system[i, i]
            for c in range(i + 1, count):
                system[r, c] -= factor * system[i, c]
            first[r] -= factor * first[i]
            second[r] -= factor * second[i]
    for i in range(count - 1, -1, -1):
        for c in range(i + 1, count):
            first[i] -= system[i, c] * first[c]
            second[i] -= system[i, c] * second[c]
        first[i] /= system[i, i]
        second[i] /= system[i, i]


@njit(**OPTIONS)
def _solve_changes(
    tableau: Tableau, fold: Fold, columns: Columns, changes: Changes, count: int
) -> float:
    """Find how far each change moves, and return the held-out residual."""
    word, shift, direction = fold.word, fold.shift, tableau.directions[fold.word]
    for i in range(count):
        r = changes.features[i]
        for j in range(count):
            changes.system[i, j] = columns.values[columns.slot[changes.features[j]], r]
        changes.moves[i] = tableau.values[r] - shift * tableau.along_l1[r] - changes.bounds[i]
        changes.per_residual[i] = direction[r]
    _eliminate(changes.system, count, changes.moves, changes.per_residual)
    residual = tableau.residual[word] + shift * tableau.tilt[word]
    leverage = tableau.leverage[word]
    for i in range(count):
        r = changes.features[i]
        along = -direction[r] if tableau.place[r] >= 0 else direction[r]
        residual -= along * changes.moves[i]
        leverage += along * changes.per_residual[i]
    g = fold.correction * residual / (1.0 - fold.correction * leverage)
    for i in range(count):
        changes.moves[i] -= g * changes.per_residual[i]
    return g


@njit(**OPTIONS)
def _fold(
    problem: Problem,
    tableau: Tableau,
    fold: Fold,
    columns: Columns,
    n_columns: int,
    changes: Changes,
    values: Floats,
) -> tuple[float, np.int64, int]:
    """Return the held-out residual, how many features changed (-1: not found), and columns made."""
    # A literal 0 would compile everything below twice.
    count = np.int64(0)
    for _ in range(_STEPS):
        g = _solve_changes(tableau, fold, columns, changes, count)
        _moved(tableau, fold, g, columns, changes, count, values)
        kept = _undo(tableau, fold.l1, changes, count, values)
        taken = kept
        if _outside(tableau, fold.l1, values):
            taken = _change(tableau, fold.l1, values, changes, kept)
        if taken == kept == count:
            return g, count, n_columns
        if taken < 0:
            break
        for i in range(kept, taken):
            if columns.slot[changes.features[i]] < 0:
                _add_column(problem, tableau, fold.l2, changes.features[i], columns, n_columns)
                n_columns += 1
        count = np.int64(taken)
    return 0.0, np.int64(-1), n_columns


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
    met: npt.NDArray[np.bool_]


@njit(**OPTIONS)
def _check(
    problem: Problem,
    tableau: Tableau,
    folds: Folds,
    weights: Floats,
    entered: Entered,
    out: LeftOut,
) -> None:
    """Count each fold's weights, and hold them to the conditions of all features.

    Nothing but the weights and residuals is taken from the tableau.
    """
    n_folds, n_active = weights.shape
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
    fitted, left = np.dot(everything, rows), np.empty(problem.products.size)
    for f in range(n_folds):
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


@njit(**OPTIONS)
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


@njit(**OPTIONS)
def new_pivoting(n_folds: int, n_features: int) -> Pivoting:
    """Return room for `leave_one_out`."""
    most = _MOST_CHANGES
    return Pivoting(
        Columns(np.empty(n_features, np.int64), np.empty((n_features, n_features))),
        Changes(
            np.empty(most, np.int64),
            np.empty(most),
            np.empty(most),
            np.empty(most),
            np.empty((most, most)),
        ),
        Entered(
            np.empty((n_folds, most), np.int64),
            np.empty((n_folds, most)),
            np.zeros(n_folds, np.int64),
        ),
        np.empty(n_features),
    )


@njit(**OPTIONS)
def _residuals_alone(tableau: Tableau, folds: Folds, out: LeftOut) -> None:
    """Take every fold to have all words' active features; tell where that goes beyond no bound."""
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
    n_columns = np.int64(0)
    room.columns.slot[:] = -1
    entered.counts[:] = 0
    _residuals_alone(tableau, folds, out)
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
            g, count, n_columns = _fold(
                problem, tableau, fold, room.columns, n_columns, room.changes, room.values
            )
            out.residuals[f], out.met[f] = g, count >= 0
            for a in range(tableau.members.size):
                weights[f, a] = room.values[tableau.members[a]]
            _note_entered(tableau, room.changes, count, f, entered)
    _check(problem, tableau, folds, weights, entered, out)


@njit(**OPTIONS)
def _note_entered(
    tableau: Tableau, changes: Changes, count: int, fold: int, entered: Entered
) -> None:
    """Keep the weights of features that are active in this fold but not in the tableau."""
    place = 0
    for i in range(count):
        if tableau.place[changes.features[i]] < 0:
            entered.features[fold, place] = changes.features[i]
            entered.weights[fold, place] = changes.moves[i]
            place += 1
    entered.counts[fold] = place
