"""All folds, candidates and inner folds of the elastic net, target by target (compiled).

Targets never meet, so a target's numbers do not depend on which others share its call.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from hgcube.kernels.active_sets import (
    MERGED,
    OPTIONS,
    Active,
    Floats,
    Ints,
    Problem,
    Subset,
    Work,
    fill_gradient,
    new_active,
    new_work,
)
from hgcube.kernels.descent import solve
from hgcube.kernels.one_out import Pivoting, leave_one_out, new_pivoting
from hgcube.kernels.shared import NEVER, Results, Study, Target
from hgcube.kernels.solution import describe
from hgcube.kernels.thresholds import (
    CONSTANT,
    fill_l1_max,
    fill_products,
    residuals_of,
    spreads_of,
)
from hgcube.kernels.unchanged import Folds, LeftOut


class Room(NamedTuple):
    """Where fits start from, where they run, and their working arrays."""

    start: Active
    active: Active
    work: Work
    pivoting: Pivoting


@njit(**OPTIONS)
def paths(study: Study, targets: Floats, out: Results) -> None:
    """Fit every target (target, word) on every set at every candidate; overwrite `out`."""
    n_words, n_features = study.words.features.shape
    room = Room(
        new_active(n_features),
        new_active(n_features),
        new_work(n_words, n_features),
        new_pivoting(study.sets.n_folds, n_features if study.scaling.shared else 0),
    )
    residuals, products = np.empty((4, n_words)), np.empty((4, n_features))
    for t in range(len(targets)):
        if t % 4 == 0:
            residuals_of(study.words, targets, t, residuals)
            fill_products(study.words.features, residuals, products)
        if not np.isfinite(targets[t].sum()):
            # Comparisons with NaN would call every condition met.
            out.not_converged[t] = study.candidates.l1.size * len(study.sets.removed)
            continue
        problem = Problem(study.words.gram, study.words.features, residuals[t % 4], products[t % 4])
        one = Results(
            out.added[t],
            out.n_nonzero[t],
            out.l1_max[t],
            out.errors[t],
            out.not_converged[t : t + 1],
        )
        target = Target(problem, spreads_of(targets[t], study))
        fill_l1_max(study, target, one.l1_max)
        _path(study, target, room, one)


@njit(**MERGED)
def _subset(study: Study, number: int) -> Subset:
    """Return one set of words left out."""
    removed, scaling = study.sets.removed[number], study.scaling
    count = 0
    while count < removed.size and removed[count] >= 0:
        count += 1
    inverse = study.sets.inverse[number, :count, :count]
    if not scaling.by_fold:
        return Subset(removed[:count], inverse, scaling.whole)
    if number < study.sets.n_folds:
        return Subset(removed[:count], inverse, scaling.folds[number])
    return Subset(removed[:count], inverse, feature_spread(study.words.centred, removed[:count]))


@njit(**OPTIONS)
def feature_spread(centred: Floats, removed: Ints) -> Floats:
    """Return each feature's sd in the words that are not removed, from sums over those that are.

    `centred` has mean 0 and mean square 1 over all words; a feature constant in the rest gets
    `NEVER`.
    """
    n_words, kept = len(centred), len(centred) - removed.size
    squares = np.full(centred.shape[1], float(n_words))
    sums = np.zeros(centred.shape[1])
    for word in removed:
        row = centred[word]
        for m in range(row.size):
            squares[m] -= row[m] ** 2
            sums[m] += row[m]
    for m in range(sums.size):
        variance = squares[m] / kept - (sums[m] / kept) ** 2
        squares[m] = np.sqrt(variance) if variance > CONSTANT else NEVER
    return squares


@njit(**MERGED)
def _path(study: Study, target: Target, room: Room, out: Results) -> None:
    """Go down the candidates, each time from all words' solution to those of the sets."""
    problem, n_folds = target.problem, study.sets.n_folds
    allowed, count = np.ones(n_folds, np.bool_), np.int64(0)
    everything = Subset(
        study.sets.removed[0, :0], study.sets.inverse[0, :0, :0], study.scaling.whole
    )
    kept = problem.target.size - (study.sets.removed[0] >= 0).sum()
    for c in range(study.candidates.l1.size):
        if study.candidates.first[c]:
            allowed[:], count = True, np.int64(0)
        if allowed.any():
            l1 = kept * study.candidates.l1[c] * target.spreads[-1]
            l2 = kept * study.candidates.l2[c]
            count, _ = solve(problem, everything, l1, l2, room.start, count, room.work)
            _fit_folds(study, target, c, count, allowed, room, out)
            _fit_inner(study, target, c, count, allowed, room, out)
        for f in range(n_folds):
            if not allowed[f]:
                out.errors[c, f] = np.inf


@njit(**MERGED)
def _fit_one(
    study: Study, target: Target, c: int, number: int, count: int, room: Room
) -> tuple[int, bool]:
    """Fit one set from the solution for all words, `count` weights in ``room.start``."""
    subset, problem = _subset(study, number), target.problem
    kept = problem.target.size - subset.removed.size
    for a in range(count):
        room.active.members[a] = room.start.members[a]
        room.active.signs[a] = room.start.signs[a]
    l1 = kept * study.candidates.l1[c] * target.spreads[number]
    l2 = kept * study.candidates.l2[c]
    return solve(problem, subset, l1, l2, room.active, count, room.work)


@njit(**MERGED)
def _fit_folds(
    study: Study,
    target: Target,
    c: int,
    count: int,
    allowed: npt.NDArray[np.bool_],
    room: Room,
    out: Results,
) -> None:
    n_folds = study.sets.n_folds
    together = LeftOut(np.zeros(n_folds), np.zeros(n_folds, np.int64), np.zeros(n_folds, np.bool_))
    if study.scaling.shared:
        _fit_together(study, target, c, count, room, together)
    for f in range(n_folds):
        if together.met[f]:
            n_weights = together.counts[f]
        else:
            n_weights, met = _fit_one(study, target, c, f, count, room)
            out.not_converged[0] += 0 if met else 1
        out.n_nonzero[c, f] = n_weights
        if n_weights > study.max_active:
            allowed[f] = False
        if n_weights and together.met[f]:
            word = study.sets.removed[f, 0]
            without = study.sets.inverse[f, 0, 0] * target.problem.target[word]
            out.added[c, word] = without - together.residuals[f]
        elif n_weights:
            _write_added(study, target, f, room.work, out.added[c])


@njit(**MERGED)
def _fit_together(
    study: Study, target: Target, c: int, count: int, room: Room, out: LeftOut
) -> None:
    """Fit all folds from one factorization, where they leave out one word each."""
    problem, spreads, n_folds = target.problem, target.spreads, study.sets.n_folds
    kept = problem.target.size - 1
    everything = Subset(
        study.sets.removed[0, :0], study.sets.inverse[0, :0, :0], study.scaling.whole
    )
    fill_gradient(problem, everything, room.start, count, room.work)
    l1, l2 = kept * study.candidates.l1[c], kept * study.candidates.l2[c]
    folds = Folds(study.held, l1 * spreads[:n_folds], l1 * spreads[-1], l2)
    solution = describe(problem, study.held, room.start, count, room.work.gradient, l2)
    leave_one_out(problem, solution, folds, room.pivoting, out)


@njit(**MERGED)
def _write_added(study: Study, target: Target, fold: int, work: Work, added: Floats) -> None:
    """Write what the weights add: held-out residual without them minus that with them."""
    removed = study.sets.removed[fold]
    for i in range(removed.size):
        if removed[i] >= 0 and study.sets.tested[fold, i]:
            without = 0.0
            for j in range(removed.size):
                if removed[j] >= 0:
                    without += study.sets.inverse[fold, i, j] * target.problem.target[removed[j]]
            added[removed[i]] = without - work.held_out[i]


@njit(**MERGED)
def _fit_inner(
    study: Study,
    target: Target,
    c: int,
    count: int,
    allowed: npt.NDArray[np.bool_],
    room: Room,
    out: Results,
) -> None:
    """Fit the inner folds of every fold that still has this candidate, and add up their errors."""
    for s in range(study.sets.n_folds, len(study.sets.removed)):
        credit, wanted = study.sets.credit[s], False
        for fold in credit:
            if fold >= 0 and allowed[fold]:
                wanted = True
        if wanted:
            _, met = _fit_one(study, target, c, s, count, room)
            out.not_converged[0] += 0 if met else 1
            for i in range(credit.size):
                if credit[i] >= 0:
                    out.errors[c, credit[i]] += room.work.held_out[i] ** 2
