"""Refitted permutation nulls of the fold-corrected r, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hgcube.kernels.designs import Array, Mask, product
from hgcube.kernels.scores import fold_corrected_r, rounding_floor

Table = npt.NDArray[np.intp]

QUANTILES = np.array([0.025, 0.5, 0.95, 0.975])

# Columns of permuted targets fitted at once: at 100 words, what is made of them for one candidate
# stays in a core's cache.
_COLUMNS = 256


def permutation_table(n_words: int, permutations: int, *, block: int | None, seed: int) -> Table:
    """Return orders of the words.

    Parameters
    ----------
    n_words, permutations : int
    block : int, optional
        Words stay inside contiguous blocks of this many; anywhere when None.
    seed : int

    Returns
    -------
    (permutation, word) int
        Row b, place i: the word whose value goes to place i. The same for every electrode.
    """
    rng = np.random.default_rng([seed, 0 if block is None else block])
    home = np.zeros(n_words) if block is None else np.arange(n_words) // block
    return np.argsort(home + rng.random((permutations, n_words)), axis=1)


def on_words(table: Table, used: Mask) -> Table:
    """Return the orders that `table` induces on the words in `used`, renumbered from 0.

    Words keep their block: leaving out a word leaves the others' order as it is.
    """
    renumbered = np.cumsum(used) - 1
    kept = used[table]
    return np.asarray(renumbered[table[kept]].reshape(len(table), -1))


@dataclass(frozen=True, kw_only=True)
class Null:
    """What is kept of one null, per target.

    Parameters
    ----------
    studentized_r : (target,) float64
        Fold-corrected r over its null: minus the mean, over the sd, of the observed and all
        permutations together. -inf where the model is collapsed.
    p_value : (target,) float64
        (1 + number of permutations with r at least the observed) / (permutations + 1).
    quantiles : (quantile, target) float64
        Of the permutations' r, at `QUANTILES`; -inf for collapsed permutations.
    permuted : (permutation, target) float64
        Each permutation's studentised r, scaled like the observed.
    """

    studentized_r: Array
    p_value: Array
    quantiles: Array
    permuted: Array


def refitted_null(
    added: Callable[[Array], Array],
    reference: Array,
    smooth: Array,
    targets: Array,
    table: Table,
) -> Null:
    """Permute the residuals under the reference's model, refit, and compare (Freedman & Lane 1983).

    Parameters
    ----------
    added : callable
        Targets (word, column) -> what the refitted model adds to the reference's predictions.
    reference : (word, word) float64
        Matrix of the reference's held-out predictions.
    smooth : (word, word) float64
        Matrix of the reference's fit on all words.
    targets : (word, target) float64
    table : (permutation, word) int

    Returns
    -------
    Null
    """
    fitted = product(smooth, targets)
    residuals = targets - fitted
    observed = _statistic(added, reference, targets)
    permuted = np.empty((len(table), targets.shape[1]))
    for part in _parts(len(table), targets.shape[1]):
        shuffled = fitted[:, None, :] + residuals[table[part].T]
        columns = shuffled.reshape(len(targets), -1)
        permuted[part] = _statistic(added, reference, columns).reshape(-1, targets.shape[1])
    return _summary(observed, permuted)


def _parts(permutations: int, n_targets: int) -> Iterator[slice]:
    step = max(1, _COLUMNS // n_targets)
    return (slice(start, start + step) for start in range(0, permutations, step))


def _statistic(added: Callable[[Array], Array], reference: Array, targets: Array) -> Array:
    """Return the fold-corrected r of what the model adds; -inf where it adds nothing."""
    floor = rounding_floor(targets, np.isfinite(targets), axes=0)
    # Words last and contiguous: then sums do not depend on how many columns there are.
    residuals = np.ascontiguousarray((targets - product(reference, targets)).T)
    r = fold_corrected_r(np.ascontiguousarray(added(targets).T), residuals, floor=floor)
    return np.where(np.isnan(r), -np.inf, r)


def _summary(observed: Array, permuted: Array) -> Null:
    # One permutation may be the identity: equal up to rounding counts as reached.
    reached = (permuted >= observed - 1e-12) | np.isneginf(observed)
    center, spread = _moments(np.vstack([observed, permuted]))
    return Null(
        studentized_r=(observed - center) / spread,
        p_value=(1 + reached.sum(axis=0)) / (len(permuted) + 1),
        quantiles=np.quantile(permuted, QUANTILES, axis=0, method="inverted_cdf"),
        permuted=(permuted - center) / spread,
    )


def _moments(statistics: Array) -> tuple[Array, Array]:
    """Return mean and sd of the finite values; 0 and 1 where fewer than two differ."""
    values = np.ascontiguousarray(statistics.T)
    finite = np.isfinite(values)
    count = np.maximum(finite.sum(axis=1), 1)
    values = np.where(finite, values, 0.0)
    center = values.sum(axis=1) / count
    spread = np.sqrt((np.where(finite, values - center[:, None], 0.0) ** 2).sum(axis=1) / count)
    usable = spread > 1e-12
    return np.where(usable, center, 0.0), np.where(usable, spread, 1.0)
