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

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import INLINED, Floats, Problem, flagged
from hgcube.kernels.exchanges import Changes, Fold, solve_changes
from hgcube.kernels.tableau import Columns, Tableau, add_columns

# A fold with more changes than this is solved by Newton steps instead.
MOST_CHANGES = 128
_STEPS = 40
_HASTY_STEPS = 5


@njit(**INLINED)
def fill_values(
    tableau: Tableau,
    fold: Fold,
    g: float,
    columns: Columns,
    changes: Changes,
    count: int,
    out: Floats,
) -> None:
    """Write x of all features in a fold: base, minus its direction, minus the changes' columns."""
    values, along, direction = tableau.values, tableau.along_l1, tableau.directions[fold.number]
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
            columns.values[columns.slot[changes.candidates[i]]],
            columns.values[columns.slot[changes.candidates[i + 1]]],
        )
        c2, c3 = (
            columns.values[columns.slot[changes.candidates[i + 2]]],
            columns.values[columns.slot[changes.candidates[i + 3]]],
        )
        for m in range(out.size):
            out[m] -= t0 * c0[m] + t1 * c1[m] + t2 * c2[m] + t3 * c3[m]
        i += 4
    while i < count:
        t0, c0 = changes.moves[i], columns.values[columns.slot[changes.candidates[i]]]
        for m in range(out.size):
            out[m] -= t0 * c0[m]
        i += 1


@njit(**INLINED)
def _review(
    tableau: Tableau, l1: float, changes: Changes, count: int, values: Floats
) -> tuple[int, int]:
    """Take back changes that turned out wrong; return how many stay, and the first not as before.

    An active feature is let go when its weight passes 0, and turns to the other sign when its
    correlation passes the other threshold. All changes read 0 in `values` afterwards.
    """
    kept, same, signs = 0, count, tableau.solution.signs
    for i in range(count):
        candidate, move, bound = changes.candidates[i], changes.moves[i], changes.bounds[i]
        turned = changes.turned[i]
        if candidate >= signs.size:
            stays = move * bound >= 0.0
        elif turned:
            turned, stays = values[candidate] * signs[candidate] < 0.0, True
        else:
            # Its correlation is l1 sign + move.
            along = move * signs[candidate]
            turned, stays = along < -2.0 * l1, along <= 0.0
        if not stays or turned != changes.turned[i]:
            same = min(same, i)
        if stays:
            changes.candidates[kept], changes.bounds[kept] = candidate, bound
            changes.moves[kept], changes.turned[kept] = move, turned
            changes.weights[kept] = values[candidate]
            kept += 1
        values[candidate] = 0.0
    return kept, same


@njit(**INLINED)
def _change(tableau: Tableau, l1: float, values: Floats, changes: Changes, count: int) -> np.int64:
    """Add those beyond their bounds; return how many changes there are, or -1: too many."""
    lower, upper, new = tableau.lower, tableau.upper, np.int64(0)
    flags = changes.flags[: 8 * ((values.size + 7) // 8)]
    flags[-8:] = False
    for m in range(values.size):
        outside = (values[m] > l1 * upper[m]) | (values[m] < l1 * lower[m])
        flags[m] = outside
        new += outside
    if count + new > MOST_CHANGES:
        return np.int64(-1)
    if new:
        flagged(flags, changes.candidates[count:])
    for i in range(count, count + new):
        m = changes.candidates[i]
        changes.turned[i] = False
        changes.bounds[i] = 0.0 if m < tableau.solution.signs.size else np.sign(values[m]) * l1
    return count + new


@njit(**INLINED)
def pivot(
    problem: Problem,
    tableau: Tableau,
    fold: Fold,
    columns: Columns,
    changes: Changes,
    values: Floats,
) -> tuple[float, np.int64]:
    """Return the held-out residual, how many features changed; -1 where not found."""
    # A literal 0 would compile everything below twice.
    count, factored = np.int64(0), np.int64(0)
    for step in range(_STEPS):
        g = solve_changes(tableau, fold, columns, changes, factored, count)
        fill_values(tableau, fold, g, columns, changes, count, values)
        kept, same = _review(tableau, fold.l1, changes, count, values)
        # Where all at once goes in circles, wrong changes are taken back before more are made.
        taken = kept
        if same == count or step < _HASTY_STEPS:
            taken = _change(tableau, fold.l1, values, changes, kept)
        if same == count and taken == count:
            return g, count
        if taken < 0:
            break
        missing = 0
        for i in range(kept, taken):
            missing += columns.slot[changes.candidates[i]] < 0
        if missing:
            add_columns(problem, tableau, fold.l2, changes.candidates[kept:taken], columns)
        count, factored = np.int64(taken), np.int64(same)
    return 0.0, np.int64(-1)
