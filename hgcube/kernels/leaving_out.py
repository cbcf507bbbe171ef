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
    solve,
    subtract_rows,
)
from hgcube.kernels.one_out import Folds, LeftOut, Pivoting, leave_one_out, new_pivoting
from hgcube.kernels.tableau import build

# A scale or spread this large keeps every weight at zero; its square is still finite.
NEVER = 1e150
# Variances below these parts of the whole are rounding.
_CONSTANT = 1e-6
_ROUNDING = 1e-12


class Words(NamedTuple):
    """What all targets share.

    gram (feature, feature), features (word, feature): residualised. centred (word, feature): not
    residualised, to find spreads. unpenalized (word, term), projector (term, word).
    """

    gram: Floats
    features: Floats
    centred: Floats
    unpenalized: Floats
    projector: Floats


class Sets(NamedTuple):
    """Words left out: first the folds, then the inner folds.

    removed (set, place): words, -1 behind the last. inverse (set, place, place): their inverse
    residual maker. credit (set, place): the fold that a word's error judges, -1 for none. tested
    (fold, place): whether a fold predicts the word. n_folds of them are folds.
    """

    removed: Ints
    inverse: Floats
    credit: Ints
    tested: npt.NDArray[np.bool_]
    n_folds: int


class Candidates(NamedTuple):
    """l1, l2 (candidate,) per training word; first (candidate,): whether a new path starts."""

    l1: Floats
    l2: Floats
    first: npt.NDArray[np.bool_]


class Scaling(NamedTuple):
    """How targets and features are scaled.

    targets, by_fold: whether targets, and features in each fold, are scaled. whole (feature,),
    folds (fold, feature): spreads in all words and in each fold's, `NEVER` where there is none.
    weights (fold or 1, feature): one over them. shared: folds leave out one word each, and all have
    one scale of the features.
    """

    targets: bool
    by_fold: bool
    whole: Floats
    folds: Floats
    weights: Floats
    shared: bool


class Study(NamedTuple):
    """All that the targets share."""

    words: Words
    sets: Sets
    candidates: Candidates
    scaling: Scaling
    max_active: int


class Target(NamedTuple):
    """One target's problem, and its sd in each set and, last, in all words."""

    problem: Problem
    spreads: Floats


class Results(NamedTuple):
    """As in `hgcube.kernels.designs.Path`, of one target or with the targets first."""

    added: Floats
    n_nonzero: Floats
    l1_max: Floats
    errors: Floats
    not_converged: Ints


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
    for t in range(len(targets)):
        if not np.isfinite(targets[t].sum()):
            # Comparisons with NaN would call every condition met.
            out.not_converged[t] = study.candidates.l1.size * len(study.sets.removed)
            continue
        target = Target(_problem(study.words, targets[t]), _spreads(targets[t], study))
        one = Results(
            out.added[t],
            out.n_nonzero[t],
            out.l1_max[t],
            out.errors[t],
            out.not_converged[t : t + 1],
        )
        _fill_l1_max(study, target, one.l1_max)
        _path(study, target, room, one)


@njit(**MERGED)
def _problem(words: Words, target: Floats) -> Problem:
    """Take the unpenalised fit out of a target; exactly nothing is left of a constant one."""
    residual = target - target.mean()
    if np.abs(residual).max() <= _ROUNDING * np.abs(target).max():
        residual[:] = 0.0
    for term in range(words.projector.shape[0]):
        slope = 0.0
        for i in range(residual.size):
            slope += words.projector[term, i] * residual[i]
        residual -= slope * words.unpenalized[:, term]
    products = np.zeros(words.features.shape[1])
    subtract_rows(words.features, np.arange(residual.size), residual.size, -residual, products)
    return Problem(words.gram, words.features, residual, products)


@njit(**MERGED)
def _spreads(target: Floats, study: Study) -> Floats:
    """Return the target's sd in the words that each set keeps, and last in all; 1 unscaled."""
    removed, scaled = study.sets.removed, study.scaling.targets
    centred = target - target.mean()
    whole = (centred**2).sum()
    spreads = np.empty(len(removed) + 1)
    spreads[-1] = _spread(target, removed[0, :0], scaled)
    for s in range(len(removed)):
        left, total, count = whole, 0.0, target.size
        for word in removed[s]:
            if word >= 0:
                left -= centred[word] ** 2
                total -= centred[word]
                count -= 1
        variance = left / count - (total / count) ** 2
        # Below, subtraction has lost too many digits.
        if variance <= _CONSTANT * whole:
            spreads[s] = _spread(target, removed[s], scaled)
        else:
            spreads[s] = np.sqrt(variance) if scaled else 1.0
    return spreads


@njit(**OPTIONS)
def _spread(target: Floats, removed: Ints, scaled: bool) -> float:
    """Return the sd in the words that are kept, `NEVER` if they do not vary."""
    keep = np.ones(target.size, np.bool_)
    for word in removed:
        if word >= 0:
            keep[word] = False
    values = target[keep]
    spread = values.std()
    if spread <= _ROUNDING * np.abs(values).max():
        return NEVER
    return spread if scaled else 1.0


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
        squares[m] = np.sqrt(variance) if variance > _CONSTANT else NEVER
    return squares


@njit(**MERGED)
def _fill_l1_max(study: Study, target: Target, l1_max: Floats) -> None:
    """Write the smallest l1 per training word without a weight, a hair above its own rounding."""
    problem, sets = target.problem, study.sets
    gradient, products, weights = problem.products.copy(), problem.products, study.scaling.weights
    room = gradient.copy()
    for f in range(sets.n_folds):
        removed, last = sets.removed[f], 0
        while last + 1 < removed.size and removed[last + 1] >= 0:
            _take_out(problem, sets, f, last, gradient, products if last == 0 else gradient)
            last += 1
        _take_out(problem, sets, f, last, gradient, products if last == 0 else gradient)
        largest = _largest(gradient, weights[f if study.scaling.by_fold else 0], room)
        kept = problem.target.size - last - 1
        l1_max[f] = largest / (kept * target.spreads[f]) * (1.0 + _ROUNDING)


@njit(**MERGED)
def _take_out(
    problem: Problem, sets: Sets, fold: int, place: int, gradient: Floats, start: Floats
) -> None:
    """Take one removed word out of what the features correlate with: from start to gradient."""
    removed, held_out = sets.removed[fold], 0.0
    for j in range(removed.size):
        if removed[j] >= 0:
            held_out += sets.inverse[fold, place, j] * problem.target[removed[j]]
    row = problem.features[removed[place]]
    for m in range(gradient.size):
        gradient[m] = start[m] - held_out * row[m]


@njit(**MERGED)
def _largest(values: Floats, weights: Floats, room: Floats) -> float:
    """Return the largest absolute value times its weight; `room` is used up.

    Numbers without a sign are in the order of their bits, and the largest of many integers is found
    several at a time, as that of floating-point numbers is not.
    """
    for m in range(values.size):
        room[m] = abs(values[m]) * weights[m]
    bits, largest = room.view(np.int64), np.int64(0)
    for m in range(bits.size):
        largest = bits[m] if bits[m] > largest else largest
    bits[0] = largest
    return room[0]


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
    words, kept = study.sets.removed[:n_folds, 0], problem.target.size - 1
    everything = Subset(
        study.sets.removed[0, :0], study.sets.inverse[0, :0, :0], study.scaling.whole
    )
    fill_gradient(problem, everything, room.start, count, room.work)
    l1, l2 = kept * study.candidates.l1[c], kept * study.candidates.l2[c]
    folds = Folds(
        words,
        study.sets.inverse[:n_folds, 0, 0],
        l1 * spreads[:n_folds],
        l1 * spreads[-1],
        l2,
    )
    tableau = build(problem, room.start, count, room.work.gradient, l2)
    leave_one_out(problem, tableau, folds, room.pivoting, out)


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


@njit(**OPTIONS)
def directly(
    gram: Floats,
    products: Floats,
    spreads: Floats,
    candidates: Candidates,
    test: Floats,
    out: Results,
) -> None:
    """Fit every target on one training set of its own, down the candidates.

    gram (feature, feature), products (target, feature), spreads (target,), test (word, feature);
    the candidates' l1 and l2 are of all training words. `out` is overwritten: added (target,
    candidate, word), n_nonzero (target, candidate), not_converged (target,).
    """
    n_features = gram.shape[0]
    # Types as in `paths`, so that nothing is compiled twice.
    everything = Subset(np.empty(0, np.int64), np.empty((1, 1))[:0, :0], np.ones(n_features))
    active, work = new_active(n_features), new_work(1, n_features)
    for t in range(len(products)):
        if not np.isfinite(products[t].sum()):
            out.not_converged[t] += candidates.l1.size
            continue
        problem, count = Problem(gram, gram, np.empty(0), products[t]), np.int64(0)
        for c in range(candidates.l1.size):
            count = np.int64(0) if candidates.first[c] else count
            l1, l2 = candidates.l1[c] * spreads[t], candidates.l2[c]
            count, met = solve(problem, everything, l1, l2, active, count, work)
            out.n_nonzero[t, c], out.not_converged[t] = count, out.not_converged[t] + (not met)
            for i in range(len(test)):
                for a in range(count):
                    out.added[t, c, i] += test[i, active.members[a]] * active.weights[a]
