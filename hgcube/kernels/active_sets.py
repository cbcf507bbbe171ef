"""Elastic nets on subsets of the words, exact, by Newton steps on active sets (compiled).

With X, y residualised on the unpenalised regressors over all words (residual maker M), a fit that
leaves out the words R has the Gram matrix and products ::

    X'X - X_R' C X_R,   X'y - X_R' C y_R,   C = (M_RR)^-1,

so its gradient is ``X'y - X'X w - X_R' g`` with ``g = C (y_R - X_R w)``, which are the held-out
residuals of R themselves. Scaling by the training words' spread enters as one threshold and one
ridge term per feature. A step solves the stationary equations of the active features exactly, lets
go those whose sign turned and takes in those above their threshold (a semismooth Newton or
primal-dual active-set step: Hintermueller, Ito & Kunisch 2003, SIAM J Optim 13:865); it ends when
nothing changes and every feature meets its optimality condition.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Optimality conditions hold to this part of their threshold, or the fit counts as not converged.
TOLERANCE = 1e-9
# Features enter above their threshold by more than rounding.
MARGIN = 1e-11
_STEPS = 50

OPTIONS: dict[str, Any] = {
    # Sums may be reordered; infinities and NaN keep their meaning.
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "error_model": "numpy",
    "cache": True,
    "nogil": True,
}
# Within one fit: a call costs as much as such a function does, with so many arrays to hand over.
INLINED: dict[str, Any] = {**OPTIONS, "forceinline": True, "_nrt": False}
# Loops over fits: they allocate nothing, and to count who holds which array costs more than a fit.
LENT: dict[str, Any] = {**OPTIONS, "_nrt": False}
# Around the fits: compiled as part of their caller, as each layer of functions is compiled again
# with all that is below it.
MERGED: dict[str, Any] = {**OPTIONS, "inline": "always"}


class Problem(NamedTuple):
    """One target beside the features, residualised, and the products of both.

    gram (feature, feature), features (word, feature), target (word,), products (feature,).
    """

    gram: Floats
    features: Floats
    target: Floats
    products: Floats


class Subset(NamedTuple):
    """Words left out and their inverse residual maker; spread of each feature in the rest."""

    removed: Ints
    inverse: Floats
    scale: Floats


class Active(NamedTuple):
    """Features with a weight: their numbers, signs and weights, the first `count` of each."""

    members: Ints
    signs: Floats
    weights: Floats


class Work(NamedTuple):
    """Room for one fit: system (feature, feature), gradient (feature,), two of (word,), flags."""

    system: Floats
    gradient: Floats
    residuals: Floats
    held_out: Floats
    flags: Flags


@njit(**OPTIONS)
def new_active(n_features: int) -> Active:
    """Return room for the active features."""
    return Active(np.empty(n_features, np.int64), np.empty(n_features), np.empty(n_features))


@njit(**OPTIONS)
def new_flags(count: int) -> Flags:
    """Return room for flags, in whole words of eight."""
    return np.zeros(8 * ((count + 7) // 8), np.bool_)


@njit(**INLINED)
def flagged(flags: Flags, numbers: Ints) -> np.int64:
    """Write the numbers of the flags that are set; return how many. Most words have none."""
    words, count = flags.view(np.int64), np.int64(0)
    for word in range(words.size):
        if words[word] != 0:
            for m in range(8 * word, 8 * word + 8):
                if flags[m]:
                    numbers[count] = m
                    count += 1
    return count


@njit(**OPTIONS)
def new_work(n_words: int, n_features: int) -> Work:
    """Return room for one fit."""
    return Work(
        np.empty((n_features, n_features)),
        np.empty(n_features),
        np.empty(n_words),
        np.empty(n_words),
        new_flags(n_features),
    )


@njit(**INLINED)
def subtract_rows(matrix: Floats, rows: Ints, count: int, weights: Floats, out: Floats) -> None:
    """Do ``out -= weights @ matrix[rows]``, four rows at a time."""
    a = 0
    while a + 4 <= count:
        w0, w1, w2, w3 = weights[a], weights[a + 1], weights[a + 2], weights[a + 3]
        r0, r1 = matrix[rows[a]], matrix[rows[a + 1]]
        r2, r3 = matrix[rows[a + 2]], matrix[rows[a + 3]]
        for m in range(out.size):
            out[m] -= w0 * r0[m] + w1 * r1[m] + w2 * r2[m] + w3 * r3[m]
        a += 4
    while a < count:
        w0, r0 = weights[a], matrix[rows[a]]
        for m in range(out.size):
            out[m] -= w0 * r0[m]
        a += 1


@njit(**LENT)
def solve_system(system: Floats, count: int, right: Floats) -> bool:
    """Solve a positive definite system (lower half) in place by Cholesky; False if it is not."""
    for i in range(count):
        row = system[i]
        for j in range(i):
            other = system[j]
            total = row[j]
            for c in range(j):
                total -= row[c] * other[c]
            # The diagonal holds the reciprocals.
            row[j] = total * other[j]
        whole = row[i]
        rest = whole
        value = right[i]
        for c in range(i):
            rest -= row[c] * row[c]
            value -= row[c] * right[c]
        if rest <= 1e-13 * whole:
            return False
        row[i] = 1.0 / np.sqrt(rest)
        right[i] = value * row[i]
    for i in range(count - 1, -1, -1):
        row = system[i]
        value = right[i] * row[i]
        right[i] = value
        for c in range(i):
            right[c] -= row[c] * value
    return True


@njit(**INLINED)
def times_inverse(subset: Subset, values: Floats, out: Floats) -> None:
    """Write the inverse residual maker of the removed words times values of these."""
    for i in range(subset.removed.size):
        total = 0.0
        for j in range(subset.removed.size):
            total += subset.inverse[i, j] * values[j]
        out[i] = total


@njit(**INLINED)
def fill_system(
    problem: Problem, subset: Subset, l1: float, l2: float, active: Active, count: int, work: Work
) -> None:
    """Write the active features' equations: matrix to `work`, right side to their weights."""
    members = active.members
    for a in range(count):
        j = members[a]
        source, row = problem.gram[j], work.system[a]
        for c in range(a + 1):
            row[c] = source[members[c]]
        row[a] += l2 * subset.scale[j] ** 2
        active.weights[a] = problem.products[j] - l1 * subset.scale[j] * active.signs[a]
    _leave_out(problem, subset, active, count, work)


@njit(**INLINED)
def _leave_out(problem: Problem, subset: Subset, active: Active, count: int, work: Work) -> None:
    """Take the removed words out of the active features' equations."""
    members, removed, features = active.members, subset.removed, problem.features
    for i in range(removed.size):
        left, held_out = features[removed[i]], 0.0
        for j in range(removed.size):
            held_out += subset.inverse[i, j] * problem.target[removed[j]]
        for a in range(count):
            active.weights[a] -= left[members[a]] * held_out
            factor, row = 0.0, work.system[a]
            for j in range(removed.size):
                factor += subset.inverse[i, j] * features[removed[j], members[a]]
            for c in range(a + 1):
                row[c] -= factor * left[members[c]]


@njit(**INLINED)
def fill_gradient(problem: Problem, subset: Subset, active: Active, count: int, work: Work) -> None:
    """Write the held-out residuals and the correlations of every feature with what is left."""
    for i in range(subset.removed.size):
        row = problem.features[subset.removed[i]]
        total = problem.target[subset.removed[i]]
        for a in range(count):
            total -= row[active.members[a]] * active.weights[a]
        work.residuals[i] = total
    times_inverse(subset, work.residuals, work.held_out)
    gradient = work.gradient
    for m in range(gradient.size):
        gradient[m] = problem.products[m]
    subtract_rows(problem.features, subset.removed, subset.removed.size, work.held_out, gradient)
    subtract_rows(problem.gram, active.members, count, active.weights, gradient)


@njit(**INLINED)
def _largest_ratio(values: Floats, scale: Floats) -> float:
    """Return the largest absolute value in parts of its scale."""
    largest = 0.0
    for m in range(values.size):
        largest = max(largest, abs(values[m]) / scale[m])
    return largest


@njit(**INLINED)
def _let_go(
    subset: Subset, l1: float, l2: float, active: Active, count: int, gradient: Floats
) -> tuple[int, float]:
    """Drop members whose sign turned; return how many stay and their worst residual over l1.

    The gradient of all members is then 0, so that none of them is taken in again.
    """
    kept, worst = 0, 0.0
    for a in range(count):
        j = active.members[a]
        weight, sign, scale = active.weights[a], active.signs[a], subset.scale[j]
        if weight * sign > 0.0:
            off = abs(gradient[j] - l2 * scale**2 * weight - l1 * scale * sign) / scale
            worst = max(worst, off)
            active.members[kept], active.signs[kept], active.weights[kept] = j, sign, weight
            kept += 1
        gradient[j] = 0.0
    return kept, worst / l1


@njit(**INLINED)
def _take_in(subset: Subset, l1: float, active: Active, count: int, work: Work) -> int:
    """Add features above their threshold; where they are many, only the upper half of the excess.

    Far from the solution most of them would leave again, and a step costs their cube.
    """
    gradient, limit = work.gradient, l1 * (1.0 + MARGIN)
    above = _flag_above(gradient, subset.scale, limit, work.flags)
    if above > max(8, count // 4):
        limit += 0.5 * (_largest_ratio(gradient, subset.scale) - limit)
        above = _flag_above(gradient, subset.scale, limit, work.flags)
    if above:
        flagged(work.flags, active.members[count:])
    for a in range(count, count + above):
        active.signs[a] = 1.0 if gradient[active.members[a]] > 0.0 else -1.0
    return count + above


@njit(**INLINED)
def _flag_above(values: Floats, scale: Floats, limit: float, flags: Flags) -> np.int64:
    """Flag absolute values above ``limit * scale``; return how many there are."""
    above = np.int64(0)
    for m in range(values.size):
        beyond = abs(values[m]) > limit * scale[m]
        flags[m] = beyond
        above += beyond
    return above


@njit(**LENT)
def newton(
    problem: Problem, subset: Subset, l1: float, l2: float, active: Active, count: int, work: Work
) -> tuple[int, bool]:
    """Step from the members and signs in `active`; return how many are left and if all is met."""
    for _ in range(_STEPS):
        fill_system(problem, subset, l1, l2, active, count, work)
        if not solve_system(work.system, count, active.weights):
            return count, False
        fill_gradient(problem, subset, active, count, work)
        kept, worst = _let_go(subset, l1, l2, active, count, work.gradient)
        taken = _take_in(subset, l1, active, kept, work)
        if kept == count and taken == kept:
            return count, worst <= TOLERANCE
        count = taken
    return count, False
