"""Which words each fold and each inner fold leaves out, and what is left of the features then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hgcube.kernels.designs import ROUNDING, Array, Design, Mask, leaves_one_out

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class WordSets:
    """Words left out: first by the folds that test a word, then by their inner folds.

    Parameters
    ----------
    folds : (fold,) int
        Numbers of the design's folds that test a word.
    removed : (set, place) int
        Words, -1 behind the last.
    credit : (set, place) int
        Place in `folds` of the fold that the word's error judges; -1 for none.
    tested : (fold, place) bool
        Whether the fold predicts the word.
    """

    folds: Numbers
    removed: Numbers
    credit: Numbers
    tested: Mask


def word_sets(design: Design, *, nested: bool) -> WordSets:
    """Return the words that the folds of a design leave out, and if `nested` the inner folds.

    Under leave-one-out in both, one fit without two words serves both their folds.
    """
    folds = np.flatnonzero(design.testing.any(axis=1))
    removed = [np.flatnonzero(~design.training[fold]) for fold in folds]
    tested = [design.testing[fold, words] for fold, words in zip(folds, removed, strict=True)]
    inner: list[tuple[Numbers, Numbers]] = []
    if nested and design.inner is None and leaves_one_out(design.testing, design.training):
        inner = _pairs(removed)
    elif nested:
        inner = _inner(design, removed)
    width = max(len(words) for words in [*removed, *(words for words, _ in inner)])
    return WordSets(
        folds=folds,
        removed=_padded([*removed, *(words for words, _ in inner)], width),
        credit=_padded([np.full(len(words), -1) for words in removed], width, inner),
        tested=_padded(tested, width) > 0,
    )


def _pairs(removed: list[Numbers]) -> list[tuple[Numbers, Numbers]]:
    """Return both words of each pair of folds; the error of each judges the other's fold."""
    first, second = np.triu_indices(len(removed), 1)
    words = np.concatenate(removed)
    return [
        (words[[one, other]], np.array([other, one]))
        for one, other in zip(first, second, strict=True)
    ]


def _inner(design: Design, removed: list[Numbers]) -> list[tuple[Numbers, Numbers]]:
    """Return, fold by fold, contiguous parts of the training words beside the fold's own words."""
    found = []
    for fold, words in enumerate(removed):
        train = np.setdiff1d(np.arange(len(design.features)), words)
        for test in np.array_split(train, min(design.inner or len(train), len(train))):
            credit = np.full(len(words) + len(test), fold)
            credit[: len(words)] = -1
            found.append((np.concatenate([words, test]), credit))
    return found


def _padded(
    rows: list[Numbers] | list[Mask], width: int, inner: list[tuple[Numbers, Numbers]] | None = None
) -> Numbers:
    everything = [*rows, *(credit for _, credit in inner or ())]
    padded = np.full((len(everything), width), -1, dtype=np.int64)
    for number, row in enumerate(everything):
        padded[number, : len(row)] = row
    return padded


def inverse_makers(sets: WordSets, unpenalized: Array) -> Array | None:
    """Return the inverse (set, place, place) of the residual maker at each set's words.

    Parameters
    ----------
    sets : WordSets
    unpenalized : (word, term) float64

    Returns
    -------
    (set, place, place) float64 or None
        The identity behind the last word; None where the words that some set keeps do not tell
        the unpenalised regressors apart.
    """
    maker = np.eye(len(unpenalized)) - unpenalized @ np.linalg.pinv(unpenalized)
    parts = maker[sets.removed[:, :, None], sets.removed[:, None, :]]
    out = sets.removed < 0
    parts[out[:, :, None] | out[:, None, :]] = 0.0
    places = np.arange(sets.removed.shape[1])
    parts[:, places, places] += out
    if np.linalg.eigvalsh(parts).min() < LEAST_LEFT:
        return None
    return np.asarray(np.linalg.inv(parts))


# Where leaving words out leaves less of a variance than this, subtraction loses too many digits.
LEAST_LEFT = 1e-6


def spreads(sets: WordSets, features: Array) -> Array | None:
    """Return the sd of each feature in the words that each fold keeps.

    Parameters
    ----------
    sets : WordSets
    features : (word, feature) float64
        With mean 0 over all words.

    Returns
    -------
    (fold, feature) float64 or None
        0 for a feature that is constant in the kept words; None where one varies there, but by
        less than `LEAST_LEFT` of its variance, in some fold or inner fold.
    """
    n_words, whole = len(features), features.var(axis=0)
    found = []
    for numbers in np.array_split(np.arange(len(sets.removed)), len(sets.removed) // 500 + 1):
        kept = np.ones((len(numbers), n_words + 1))
        np.put_along_axis(kept, sets.removed[numbers], 0.0, axis=1)
        kept = kept[:, :-1] / kept[:, :-1].sum(axis=1, keepdims=True)
        variance = kept @ features**2 - (kept @ features) ** 2
        few = variance <= LEAST_LEFT * whole
        if any(_varies(features[kept[row] > 0, column]) for row, column in np.argwhere(few)):
            return None
        found.append(np.sqrt(np.where(few, 0.0, variance)))
    return np.concatenate(found)[: len(sets.folds)]


def _varies(values: Array) -> bool:
    return bool(np.ptp(values) > ROUNDING * np.abs(values).max())
