"""Which candidate of a path each target takes in each fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hgcube.kernels.designs import ROUNDING, Array, Mask, Path

Groups = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen candidates.

    Parameters
    ----------
    candidate : (fold, target) int
        Position along the candidates of the path.
    added : (word, target) float64
        As in `Path`, of the candidate of the fold that tests the word.
    alpha, l1_ratio, n_nonzero : (fold, target) float64
        As in `Path`.
    alpha_max : (fold, target) float64
        Smallest alpha, at the chosen l1_ratio, without a non-zero coefficient; inf for ridge.
    """

    candidate: npt.NDArray[np.intp]
    added: Array
    alpha: Array
    l1_ratio: Array
    n_nonzero: Array
    alpha_max: Array


def choose(path: Path, targets: Array, testing: Mask, training: Mask, groups: Groups) -> Choice:
    """Take, per fold and group of targets, the candidate with the smallest inner error.

    Parameters
    ----------
    path : Path
    targets : (word, target) float64
    testing, training : (fold, word) bool
    groups : (target,) int
        Targets of the same number choose together, by the sum of their errors over the variance
        of each in the fold's training words; a constant target has no voice.

    Returns
    -------
    Choice
        Ties go to the earlier, stronger candidate. Where `max_active` excludes every candidate
        the first is taken.
    """
    candidate = _chosen(path, targets, training, groups)
    l1_ratio = path.l1_ratio[candidate]
    folds = np.arange(len(candidate))[:, None]
    with np.errstate(divide="ignore"):
        alpha_max = path.l1_max / l1_ratio
    return Choice(
        candidate=candidate,
        added=added_by(path, candidate, testing),
        alpha=path.alpha[candidate, folds],
        l1_ratio=l1_ratio,
        n_nonzero=_taken(path.n_nonzero, candidate),
        alpha_max=alpha_max,
    )


def added_predictions(
    path: Path, targets: Array, testing: Mask, training: Mask, groups: Groups
) -> Array:
    """Return `Choice.added` alone; arguments as in `choose`."""
    return added_by(path, _chosen(path, targets, training, groups), testing)


def added_by(path: Path, candidate: npt.NDArray[np.intp], testing: Mask) -> Array:
    """Return (word, target): the path's `added` at the candidate of the fold that tests the word.

    Parameters
    ----------
    path : Path
    candidate : (fold, target) int
    testing : (fold, word) bool
    """
    if len(path.added) == 1:
        return np.asarray(path.added[0])
    return _taken(path.added, candidate[testing.argmax(axis=0)])


def _taken(values: Array, candidate: npt.NDArray[np.intp]) -> Array:
    return np.asarray(np.take_along_axis(values, candidate[None], axis=0)[0])


def _chosen(path: Path, targets: Array, training: Mask, groups: Groups) -> npt.NDArray[np.intp]:
    numbers, member = np.unique(groups, return_inverse=True)
    if len(path.errors) == 1 or len(numbers) == len(groups):
        return _first_smallest(path.errors)
    weight = _weight(targets, training)
    weighted = np.zeros(path.errors.shape)
    np.multiply(path.errors, weight, out=weighted, where=weight > 0)
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(len(numbers)))
    pooled = np.add.reduceat(weighted[:, :, order], starts, axis=2)
    return _first_smallest(pooled)[:, member]


def _first_smallest(errors: Array) -> npt.NDArray[np.intp]:
    """Return ``errors.argmin(axis=0)``, by whole arrays: several times as fast."""
    chosen = np.zeros(errors.shape[1:], dtype=np.int16)
    smallest = errors[0]
    for index in range(1, len(errors)):
        better = errors[index] < smallest
        smallest = np.minimum(smallest, errors[index])
        # A later candidate has the greater number.
        np.maximum(chosen, better * np.int16(index), out=chosen)
    return chosen.astype(np.intp)


def _weight(targets: Array, training: Mask) -> Array:
    """Return one over the variance (fold, target) in the training words; 0 for a constant."""
    centred = targets - targets.mean(axis=0)
    counts = np.maximum(training.sum(axis=1), 1)[:, None]
    squares = training @ centred**2 / counts
    variances = squares - (training @ centred / counts) ** 2
    varies = variances > ROUNDING * np.maximum(squares, (targets**2).max(axis=0) * ROUNDING)
    return np.asarray(np.divide(1.0, variances, out=np.zeros_like(variances), where=varies))
