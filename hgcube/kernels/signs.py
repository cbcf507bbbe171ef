"""Elastic nets by feature-sign search, where Newton steps cycle (compiled).

One feature enters at a time, and a step goes no further than the objective falls: along the way to
the stationary point of the active features it stops at the best point where a weight changes sign.
The objective falls with each step, so that no set of signs comes twice (Lee, Battle, Raina & Ng
2007, NIPS 19:801).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import (
    LENT,
    MARGIN,
    OPTIONS,
    TOLERANCE,
    Active,
    Floats,
    Problem,
    Subset,
    Work,
    fill_gradient,
    fill_system,
    solve_system,
)

_STEPS = 10
# Where members depend on each other, in parts of their largest square: how much a step is damped.
_DAMPING = 1e-9


@njit(**LENT)
def support(weights: Floats, active: Active) -> np.int64:
    """Write the features with a weight; return how many there are."""
    count = np.int64(0)
    for m in range(weights.size):
        if weights[m] != 0.0:
            active.members[count], active.weights[count] = m, weights[m]
            active.signs[count] = np.sign(weights[m])
            count += 1
    return count


@njit(**OPTIONS)
def search(
    problem: Problem,
    subset: Subset,
    l1: float,
    l2: float,
    weights: Floats,
    active: Active,
    work: Work,
) -> tuple[int, bool]:
    """Fit the words that `subset` keeps, from `weights` (feature,), which are overwritten.

    Returns and leaves in `active` and `work` what `hgcube.kernels.descent.solve` does.
    """
    pulls, count = np.empty(weights.size), support(weights, active)
    for _ in range(_STEPS * weights.size):
        fill_gradient(problem, subset, active, count, work)
        if _pull(subset, l1, l2, active, count, work.gradient, pulls) <= TOLERANCE:
            taken = _enter(subset, l1, active, count, work.gradient)
            if taken == count:
                return count, True
            # What pulls at it is beyond its threshold, in the direction of its sign.
            pulls[count] = work.gradient[active.members[count]]
            count = taken
        if not _aim(problem, subset, (l1, l2), weights, active, count, work):
            break
        _step(subset, l1, active, count, pulls, weights)
        count = support(weights, active)
    return count, False


@njit(**OPTIONS)
def _aim(
    problem: Problem,
    subset: Subset,
    penalties: tuple[float, float],
    weights: Floats,
    active: Active,
    count: int,
    work: Work,
) -> bool:
    """Write the members' stationary weights, or where they depend on each other a damped step."""
    l1, l2 = penalties
    fill_system(problem, subset, l1, l2, active, count, work)
    if solve_system(work.system, count, active.weights):
        return True
    most = 0.0
    for a in range(count):
        j = active.members[a]
        most = max(most, problem.gram[j, j] / subset.scale[j] ** 2)
    damping = _DAMPING * most
    fill_system(problem, subset, l1, l2 + damping, active, count, work)
    for a in range(count):
        j = active.members[a]
        active.weights[a] += damping * subset.scale[j] ** 2 * weights[j]
    return solve_system(work.system, count, active.weights)


@njit(**LENT)
def _pull(
    subset: Subset,
    l1: float,
    l2: float,
    active: Active,
    count: int,
    gradient: Floats,
    pulls: Floats,
) -> float:
    """Write what pulls at each member; return the worst violation of their conditions over l1."""
    worst = 0.0
    for a in range(count):
        scale = subset.scale[active.members[a]]
        pulls[a] = gradient[active.members[a]] - l2 * scale**2 * active.weights[a]
        worst = max(worst, abs(pulls[a] - l1 * scale * active.signs[a]) / scale)
    return worst / l1


@njit(**LENT)
def _enter(subset: Subset, l1: float, active: Active, count: int, gradient: Floats) -> int:
    """Add the feature that is furthest above its threshold, with no weight yet."""
    first, most = -1, l1 * (1.0 + MARGIN)
    for a in range(count):
        gradient[active.members[a]] = 0.0
    for m in range(gradient.size):
        above = abs(gradient[m]) / subset.scale[m]
        if above > most:
            first, most = m, above
    if first < 0:
        return count
    active.members[count], active.weights[count] = first, 0.0
    active.signs[count] = np.sign(gradient[first])
    return count + 1


@njit(**LENT)
def _step(
    subset: Subset, l1: float, active: Active, count: int, pulls: Floats, weights: Floats
) -> None:
    """Go to the lowest point on the way to the members' new weights, in ``active.weights``."""
    slope, curvature = 0.0, 0.0
    for a in range(count):
        j = active.members[a]
        way = active.weights[a] - weights[j]
        slope += way * pulls[a]
        curvature += way * (pulls[a] - l1 * subset.scale[j] * active.signs[a])
    best, part, stop = 0.5 * curvature - slope, 1.0, -1
    best += l1 * _size(subset, active, count, weights, 1.0)
    for a in range(count):
        old, new = weights[active.members[a]], active.weights[a]
        if old * new < 0.0:
            at = old / (old - new)
            value = at * (0.5 * at * curvature - slope)
            value += l1 * _size(subset, active, count, weights, at)
            if value < best:
                best, part, stop = value, at, a
    for a in range(count):
        j = active.members[a]
        weights[j] += part * (active.weights[a] - weights[j])
    if stop >= 0:
        weights[active.members[stop]] = 0.0


@njit(**LENT)
def _size(subset: Subset, active: Active, count: int, weights: Floats, part: float) -> float:
    """Return the sum of the weights' sizes after a part of the way, in units of their features."""
    total = 0.0
    for a in range(count):
        j = active.members[a]
        there = weights[j] + part * (active.weights[a] - weights[j])
        total += subset.scale[j] * abs(there)
    return total
