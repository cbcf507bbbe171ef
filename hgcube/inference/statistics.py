"""Adjusted p, selection of subjects and an interval of skill, on plain arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def adjusted_p(studentized_r: Floats, null_max: Floats) -> Floats:
    """Return p adjusted over electrodes by the studentised maximum.

    p = (1 + #{maximum >= statistic}) / (B + 1) for B permutations (Westfall and Young 1993).

    Parameters
    ----------
    studentized_r : array, shape (electrode,)
        NaN where an electrode was not tested; -inf where its model collapsed, which gives p = 1.
    null_max : array, shape (permutation,)
        Each permutation's maximum over electrodes.

    Returns
    -------
    array, shape (electrode,)
        NaN where not tested.

    Examples
    --------
    >>> adjusted_p(np.array([3.0, 0.0, np.nan]), np.array([1.0, 2.0, 2.5]))
    array([0.25, 1.  ,  nan])
    """
    # "not below" and not "above": a permutation without a maximum counts against the electrode
    exceeded = ~(null_max[:, np.newaxis] < studentized_r)
    p = (1 + exceeded.sum(axis=0)) / (null_max.size + 1)
    return np.where(np.isnan(studentized_r), np.nan, p)


def permutations_needed(level: float) -> int:
    """Return the fewest permutations whose smallest possible p is at most `level`.

    Examples
    --------
    >>> permutations_needed(0.05)
    19
    """
    return math.ceil(1 / level - 1e-9) - 1


def q_values(smallest_p: Floats) -> Floats:
    """Return Benjamini-Hochberg q of each subject's smallest adjusted p.

    Parameters
    ----------
    smallest_p : array, shape (subject and space,)
        NaN where not tested, and so is its q.

    Returns
    -------
    array, shape (subject and space,)
    """
    from scipy.stats import false_discovery_control

    tested = ~np.isnan(smallest_p)
    q = np.full(smallest_p.shape, np.nan)
    if tested.any():
        q[tested] = false_discovery_control(smallest_p[tested])
    return q


def level_inside(q: Floats, level: float) -> float:
    """Return the level at which electrodes of selected subjects are read.

    ``level * selected / tested`` keeps the false discoveries averaged over the selected
    subjects at `level` (Benjamini and Bogomolov 2014).

    Parameters
    ----------
    q : array
        q of every tested subject and space, NaN where not tested.
    level : float

    Returns
    -------
    float
        0 when none is selected.
    """
    tested = int(np.sum(~np.isnan(q)))
    return level * int(np.sum(q <= level)) / tested if tested else 0.0


def mean_skill_interval(
    model: Floats, reference: Floats, *, level: float
) -> tuple[float, float, float]:
    """Return the mean skill of electrodes and its jackknife interval over words.

    Parameters
    ----------
    model, reference : array, shape (word, electrode)
        Squared held-out errors of the model and of the mean word; NaN where a word is missing.
    level : float
        The interval is stated for 1 - `level`.

    Returns
    -------
    mean, low, high : float
        Held-out errors share their training words, so that it covers less than stated;
        ``tests/benchmarks/test_interval.py`` prints how much less.
    """
    from scipy.stats import t

    missing = np.isnan(model) | np.isnan(reference)
    model, reference = np.where(missing, 0.0, model), np.where(missing, 0.0, reference)
    n_words = model.shape[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.mean(1 - model.sum(0) / reference.sum(0))
        without = np.mean(1 - (model.sum(0) - model) / (reference.sum(0) - reference), axis=1)
    error = np.sqrt((n_words - 1) / n_words * np.sum((without - without.mean()) ** 2))
    half: Any = t.ppf(1 - level / 2, n_words - 1) * error
    return float(mean), float(mean - half), float(mean + half)
