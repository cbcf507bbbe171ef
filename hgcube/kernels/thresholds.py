"""Of each target before it is fitted: its problem, its spreads, and the largest useful l1."""

from __future__ import annotations

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import (
    LENT,
    MERGED,
    OPTIONS,
    Floats,
    Ints,
    Problem,
)
from hgcube.kernels.shared import NEVER, Sets, Study, Target, Words
from hgcube.kernels.solution import Held

# Variances below these parts of the whole are rounding.
CONSTANT = 1e-6
_ROUNDING = 1e-12


@njit(**OPTIONS)
def residuals_of(words: Words, targets: Floats, start: int, out: Floats) -> None:
    """Take the unpenalised fit out of targets; exactly nothing is left of a constant one.

    `out` (target, word) takes as many as it has rows, and zeros behind the last.
    """
    out[:] = 0.0
    for t in range(min(len(out), len(targets) - start)):
        target, residual = targets[start + t], out[t]
        residual[:] = target - target.mean()
        if np.abs(residual).max() <= _ROUNDING * np.abs(target).max():
            residual[:] = 0.0
        for term in range(words.projector.shape[0]):
            slope = 0.0
            for i in range(residual.size):
                slope += words.projector[term, i] * residual[i]
            residual -= slope * words.unpenalized[:, term]


@njit(**LENT)
def fill_products(features: Floats, residuals: Floats, out: Floats) -> None:
    """Write the products (4, feature) of four targets (4, word) with the features.

    Always of four: what is read once serves them all, and none depends on how many there are.
    """
    out[:] = 0.0
    for i in range(len(features)):
        y0, y1, y2, y3 = residuals[0, i], residuals[1, i], residuals[2, i], residuals[3, i]
        row, z0, z1, z2, z3 = features[i], out[0], out[1], out[2], out[3]
        for m in range(row.size):
            z0[m] += y0 * row[m]
            z1[m] += y1 * row[m]
            z2[m] += y2 * row[m]
            z3[m] += y3 * row[m]


@njit(**MERGED)
def spreads_of(target: Floats, study: Study) -> Floats:
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
        if variance <= CONSTANT * whole:
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


@njit(**OPTIONS)
def fill_l1_max(study: Study, target: Target, l1_max: Floats) -> None:
    """Write the smallest l1 per training word without a weight, a hair above its own rounding."""
    if study.scaling.shared:
        _fill_largest_together(target.problem, study.held, np.empty(l1_max.size), l1_max)
    else:
        _fill_largest(study, target.problem, l1_max)
    for f in range(study.sets.n_folds):
        kept = target.problem.target.size
        for word in study.sets.removed[f]:
            kept -= word >= 0
        l1_max[f] *= (1.0 + _ROUNDING) / (kept * target.spreads[f])


@njit(**LENT)
def _fill_largest_together(problem: Problem, held: Held, residuals: Floats, out: Floats) -> None:
    """Write each fold's largest gradient.

    A feature can have it in fold f only if its own gradient q over all words is at least
    ``L_f - |g_f| reach``, where L_f is what the feature with the largest q has there. Over the
    folds the least of these lines is concave in the reach, so that it lies above its chord.
    """
    products, best, largest = problem.products, 0, -1.0
    low, high = held.reaches
    for m in range(products.size):
        if abs(products[m]) > largest:
            best, largest = m, abs(products[m])
    row, at_low, at_high = held.features[best], np.inf, np.inf
    for f in range(out.size):
        residuals[f] = held.corrections[f] * problem.target[held.words[f]]
        out[f] = abs(products[best] - residuals[f] * row[f])
        at_low = min(at_low, out[f] - abs(residuals[f]) * low)
        at_high = min(at_high, out[f] - abs(residuals[f]) * high)
    slope = (at_high - at_low) / (high - low) if high > low else 0.0
    for m in range(products.size):
        if not abs(products[m]) < at_low + slope * (held.reach[m] - low):
            row, product = held.features[m], products[m]
            for f in range(out.size):
                size = abs(product - residuals[f] * row[f])
                out[f] = size if size > out[f] else out[f]


@njit(**MERGED)
def _fill_largest(study: Study, problem: Problem, out: Floats) -> None:
    """Write each fold's largest gradient, in parts of the features' spreads."""
    sets, gradient, products = study.sets, problem.products.copy(), problem.products
    room = gradient.copy()
    for f in range(sets.n_folds):
        removed, last = sets.removed[f], 0
        while last + 1 < removed.size and removed[last + 1] >= 0:
            _take_out(problem, sets, f, last, gradient, products if last == 0 else gradient)
            last += 1
        _take_out(problem, sets, f, last, gradient, products if last == 0 else gradient)
        out[f] = _largest(gradient, study.scaling.weights[f if study.scaling.by_fold else 0], room)


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
