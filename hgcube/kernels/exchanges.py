"""The equations of a fold's changes: how far each goes along its column (compiled).

Changes of features without a weight have equations with the Schur complement, those of active ones
with the inverse; with the sign of the latter turned, the whole is symmetric and quasi-definite, so
that L D L' exists in any order (Vanderbei 1995, SIAM J Optim 5:100). A row of L depends only on
those before it: what stays from one round of pivots to the next is not factorized again.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from hgcube.kernels.active_sets import INLINED, Flags, Floats, Ints
from hgcube.kernels.tableau import Columns, Tableau


class Changes(NamedTuple):
    """Candidates of one fold that are not as in the tableau, the first few of each array.

    bounds: where x must come to; moves, per_residual: how far along their columns, with and per
    unit of the held-out residual; turned: whether an active feature has the other sign, and
    weights: its weight then; factor, row, flags: room.
    """

    candidates: Ints
    bounds: Floats
    moves: Floats
    per_residual: Floats
    turned: Flags
    weights: Floats
    factor: Floats
    row: Floats
    flags: Flags


class Fold(NamedTuple):
    """Its number, 1/(1 - leverage) of its word in the unpenalised fit, and the penalties."""

    number: int
    correction: float
    shift: float
    l1: float
    l2: float


@njit(**INLINED)
def solve_changes(
    tableau: Tableau, fold: Fold, columns: Columns, changes: Changes, factored: int, count: int
) -> float:
    """Find how far each change moves, and return the held-out residual.

    The first `factored` changes are those of the call before.
    """
    number, shift, solution = fold.number, fold.shift, tableau.solution
    direction = tableau.directions[number]
    _factorize(tableau, columns, changes, factored, count)
    _fill_right_sides(tableau, fold, columns, changes, count)
    _substitute(changes, count)
    residual = solution.residual[number] + shift * solution.tilt[number]
    leverage = solution.leverage[number]
    for i in range(count):
        r = changes.candidates[i]
        if changes.turned[i]:
            changes.moves[i] = -2.0 * fold.l1 * solution.signs[r]
        along = -direction[r] if r < solution.signs.size else direction[r]
        residual -= along * changes.moves[i]
        leverage += along * changes.per_residual[i]
    g = fold.correction * residual / (1.0 - fold.correction * leverage)
    for i in range(count):
        changes.moves[i] -= g * changes.per_residual[i]
    return g


@njit(**INLINED)
def _factorize(
    tableau: Tableau, columns: Columns, changes: Changes, factored: int, count: int
) -> None:
    """Write rows of L' behind the first `factored`, with the reciprocals of D on the diagonal.

    A change that has turned moves by a given way: its equation reads so, and the others know it.
    """
    factor, row, n_active = changes.factor, changes.row, tableau.solution.signs.size
    for i in range(factored, count):
        column = columns.values[columns.slot[changes.candidates[i]]]
        for j in range(i + 1):
            r = changes.candidates[j]
            row[j] = -column[r] if r < n_active else column[r]
            if changes.turned[i] or changes.turned[j]:
                row[j] = 1.0 if i == j else 0.0
        for j in range(i):
            value, other = row[j], factor[j]
            for c in range(j + 1, i):
                row[c] -= value * other[c]
            other[i] = value * other[j]
            row[i] -= value * other[i]
        factor[i, i] = 1.0 / row[i]


@njit(**INLINED)
def _fill_right_sides(
    tableau: Tableau, fold: Fold, columns: Columns, changes: Changes, count: int
) -> None:
    """Write how far x is from its bounds, and what the held-out residual adds to that."""
    direction, signs = tableau.directions[fold.number], tableau.solution.signs
    for i in range(count):
        r = changes.candidates[i]
        changes.moves[i] = tableau.values[r] - fold.shift * tableau.along_l1[r] - changes.bounds[i]
        changes.per_residual[i] = direction[r]
    for j in range(count):
        if changes.turned[j]:
            column = columns.values[columns.slot[changes.candidates[j]]]
            given = -2.0 * fold.l1 * signs[changes.candidates[j]]
            for i in range(count):
                changes.moves[i] -= column[changes.candidates[i]] * given
    for i in range(count):
        if changes.turned[i]:
            changes.moves[i], changes.per_residual[i] = 0.0, 0.0
        elif changes.candidates[i] < signs.size:
            changes.moves[i], changes.per_residual[i] = -changes.moves[i], -changes.per_residual[i]


@njit(**INLINED)
def _substitute(changes: Changes, count: int) -> None:
    """Solve for both right sides in place."""
    first, second = changes.moves, changes.per_residual
    for i in range(count):
        row, one, other = changes.factor[i], first[i], second[i]
        for c in range(i + 1, count):
            first[c] -= one * row[c]
            second[c] -= other * row[c]
    for i in range(count - 1, -1, -1):
        row, one, other = changes.factor[i], 0.0, 0.0
        for c in range(i + 1, count):
            one += row[c] * first[c]
            other += row[c] * second[c]
        first[i] = first[i] * row[i] - one
        second[i] = second[i] * row[i] - other
