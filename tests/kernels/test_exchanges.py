"""The equations of a fold's changes, against a plain solve of the fold's own system."""

from __future__ import annotations

import numpy as np
import pytest

from hgcube.kernels.active_sets import new_flags
from hgcube.kernels.exchanges import Changes, Fold, solve_changes
from hgcube.kernels.solution import Solution
from hgcube.kernels.tableau import Columns, Tableau

N_ACTIVE, N_CANDIDATES, MOST = 6, 14, 20


class Exchange:
    """A tableau of a random positive definite matrix, all candidates' columns made."""

    def __init__(self, rng):
        self.rng = rng
        root = rng.standard_normal((30, N_CANDIDATES))
        self.gram = root.T @ root + 0.5 * np.eye(N_CANDIDATES)
        self.signs = np.where(rng.random(N_ACTIVE) < 0.5, -1.0, 1.0)
        active, rest = slice(0, N_ACTIVE), slice(N_ACTIVE, None)
        inverse = np.linalg.inv(self.gram[active, active])
        moved = inverse @ self.gram[active, rest]
        columns = np.zeros((N_CANDIDATES, N_CANDIDATES))
        columns[active, active], columns[active, rest] = inverse, -moved
        columns[rest, active] = moved.T
        columns[rest, rest] = self.gram[rest, rest] - self.gram[rest, active] @ moved
        self.columns = Columns(np.arange(N_CANDIDATES), columns, np.array([N_CANDIDATES]))
        self.tableau = Tableau(
            solution=Solution(
                members=np.arange(N_ACTIVE),
                signs=self.signs,
                weights=np.zeros(N_ACTIVE),
                along_l1=np.zeros(N_ACTIVE),
                inverse=inverse,
                rows=self.gram[active],
                gradient=np.zeros(N_CANDIDATES),
                own=np.zeros((N_ACTIVE, 1)),
                turns=np.zeros((N_ACTIVE, 1)),
                residual=np.array([1.7]),
                leverage=np.array([0.2]),
                tilt=np.array([0.4]),
            ),
            features=np.arange(N_CANDIDATES),
            values=rng.standard_normal(N_CANDIDATES),
            along_l1=rng.standard_normal(N_CANDIDATES),
            lower=np.zeros(N_CANDIDATES),
            upper=np.zeros(N_CANDIDATES),
            rows=self.gram[active, rest],
            directions=rng.standard_normal((1, N_CANDIDATES)),
        )
        self.fold = Fold(0, 1.3, 0.1, 0.8, 0.5)

    def changes(self, candidates, turned):
        made = Changes(
            np.zeros(MOST, np.int64),
            *np.zeros((3, MOST)),
            np.zeros(MOST, bool),
            np.zeros(MOST),
            np.zeros((MOST, MOST)),
            np.zeros(MOST),
            new_flags(N_CANDIDATES),
        )
        count = len(candidates)
        made.candidates[:count], made.turned[:count] = candidates, turned
        made.bounds[:count] = self.rng.standard_normal(count)
        return made

    def values_after(self, changes, count, g):
        """x of all candidates: the tableau's, moved by the shift, the fold and the changes."""
        tableau = self.tableau
        x = tableau.values - self.fold.shift * tableau.along_l1 - g * tableau.directions[0]
        for i in range(count):
            x = x - changes.moves[i] * self.columns.values[changes.candidates[i]]
        return x


CASES = {
    "entering": ([7, 12, 9], [False] * 3),
    "leaving": ([4, 0], [False] * 2),
    "both": ([7, 4, 0, 12, 9, 2], [False] * 6),
    "turned": ([7, 4, 0, 12, 2], [False, True, False, False, True]),
}


@pytest.mark.parametrize("case", CASES)
def test_changes_come_to_their_bounds_and_turned_ones_go_their_way(rng, case):
    candidates, turned = CASES[case]
    exchange = Exchange(rng)
    changes, count = exchange.changes(candidates, turned), len(candidates)
    g = solve_changes(
        exchange.tableau, exchange.fold, exchange.columns, changes, np.int64(0), np.int64(count)
    )
    x = exchange.values_after(changes, count, g)
    for i, candidate in enumerate(candidates):
        if turned[i]:
            given = -2 * exchange.fold.l1 * exchange.signs[candidate]
            assert changes.moves[i] == pytest.approx(given)
        else:
            assert x[candidate] == pytest.approx(changes.bounds[i], abs=1e-11)
    assert np.abs(changes.moves[:count]).min() > 1e-3


@pytest.mark.parametrize("kept", [1, 3, 5])
def test_rows_that_are_kept_are_not_made_again(rng, kept):
    candidates, turned = CASES["both"]
    exchange = Exchange(rng)
    other = exchange.changes(candidates[:kept] + candidates[kept:][::-1], turned)
    args = (exchange.tableau, exchange.fold, exchange.columns)
    solve_changes(*args, other, np.int64(0), np.int64(6))
    bounds = other.bounds.copy()
    fresh = exchange.changes(candidates, turned)
    other.candidates[:6], other.bounds[:], fresh.bounds[:] = candidates, bounds, bounds
    first = other.factor[:kept, :kept].copy()
    expected = solve_changes(*args, fresh, np.int64(0), np.int64(6))
    assert solve_changes(*args, other, np.int64(kept), np.int64(6)) == pytest.approx(expected)
    np.testing.assert_allclose(other.moves[:6], fresh.moves[:6], atol=1e-11)
    np.testing.assert_array_equal(other.factor[:kept, :kept], first)
    other.factor[0, :6] *= 2  # they are used: without them the answer is another
    assert abs(solve_changes(*args, other, np.int64(kept), np.int64(6)) - expected) > 1e-3
