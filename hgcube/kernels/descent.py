"""One elastic net on a subset of the words: Newton steps first, then others (compiled)."""

from __future__ import annotations

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import (
    INLINED,
    LENT,
    OPTIONS,
    TOLERANCE,
    Active,
    Floats,
    Problem,
    Subset,
    Work,
    fill_gradient,
    newton,
    times_inverse,
)
from hgcube.kernels.signs import search, support

_ROUNDS = 20
_SWEEPS = 50


@njit(**LENT)
def _descend(
    problem: Problem, subset: Subset, l1: float, l2: float, weights: Floats, work: Work
) -> None:
    """Lower the objective by sweeps of coordinate descent over all features."""
    for _ in range(_SWEEPS):
        for m in range(weights.size):
            curvature = problem.gram[m, m]
            for i in range(subset.removed.size):
                work.residuals[i] = problem.features[subset.removed[i], m]
            times_inverse(subset, work.residuals, work.held_out)
            for i in range(subset.removed.size):
                curvature -= work.residuals[i] * work.held_out[i]
            pull = work.gradient[m] + curvature * weights[m]
            size = abs(pull) - l1 * subset.scale[m]
            bottom = curvature + l2 * subset.scale[m] ** 2
            new = np.sign(pull) * size / bottom if size > 0.0 and bottom > 0.0 else 0.0
            if new != weights[m]:
                _step_one(problem, subset, m, new - weights[m], work)
                weights[m] = new


@njit(**INLINED)
def _step_one(problem: Problem, subset: Subset, feature: int, change: float, work: Work) -> None:
    """Follow the change of one weight in the gradient; its row of C X is in ``work.held_out``."""
    gradient, row = work.gradient, problem.gram[feature]
    for m in range(gradient.size):
        gradient[m] -= change * row[m]
    for i in range(subset.removed.size):
        left, factor = problem.features[subset.removed[i]], change * work.held_out[i]
        for m in range(gradient.size):
            gradient[m] += factor * left[m]


@njit(**LENT)
def violation(
    subset: Subset, l1: float, l2: float, active: Active, count: int, gradient: Floats
) -> float:
    """Return the worst violation of an optimality condition, over all features, in parts of l1."""
    worst = 0.0
    for a in range(count):
        j, scale = active.members[a], subset.scale[active.members[a]]
        sign = np.sign(active.weights[a])
        off = gradient[j] - l2 * scale**2 * active.weights[a] - l1 * scale * sign
        worst = max(worst, abs(off) / scale)
        gradient[j] = 0.0
    for m in range(gradient.size):
        worst = max(worst, abs(gradient[m]) / subset.scale[m] - l1)
    return worst / l1


@njit(**OPTIONS)
def _by_descent(
    problem: Problem, subset: Subset, l1: float, l2: float, active: Active, work: Work
) -> tuple[int, bool]:
    """Where Newton steps fail: coordinate descent, and both other ways after every few sweeps."""
    weights = np.zeros(problem.products.size)
    for _ in range(_ROUNDS):
        count = support(weights, active)
        fill_gradient(problem, subset, active, count, work)
        _descend(problem, subset, l1, l2, weights, work)
        count = support(weights, active)
        fill_gradient(problem, subset, active, count, work)
        if violation(subset, l1, l2, active, count, work.gradient) <= TOLERANCE:
            return count, True
        count, met = newton(problem, subset, l1, l2, active, count, work)
        if not met:
            count, met = search(problem, subset, l1, l2, weights, active, work)
        if met:
            return count, True
    count = support(weights, active)
    fill_gradient(problem, subset, active, count, work)
    return count, False


@njit(**OPTIONS)
def solve(
    problem: Problem, subset: Subset, l1: float, l2: float, active: Active, count: int, work: Work
) -> tuple[int, bool]:
    """Fit the words that `subset` keeps.

    Minimises half the squared error plus ``l1 scale |w| + l2/2 (scale w)^2``, summed over the
    features.

    Parameters
    ----------
    problem, subset
        See there. A scale of 1e150 keeps a feature out.
    l1, l2 : float
        Above 0, and at least 0.
    active : Active
        Members and signs to start from, `count` of them; overwritten by the solution.
    work : Work
        Afterwards ``held_out`` has the held-out residuals of the removed words.

    Returns
    -------
    count : int
        Features with a weight.
    met : bool
        Whether every feature meets its optimality condition to `TOLERANCE`.
    """
    count, met = newton(problem, subset, l1, l2, active, count, work)
    if not met:
        count, met = _by_descent(problem, subset, l1, l2, active, work)
    return count, met
