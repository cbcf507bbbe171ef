"""What the compiled elastic net shares between targets, and what it makes of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hgcube.kernels.active_sets import Floats, Ints, Problem
from hgcube.kernels.solution import Held

# A scale or spread this large keeps every weight at zero; its square is still finite.
NEVER = 1e150


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
    """All that the targets share; `held` is empty where `shared` of `scaling` is not."""

    words: Words
    sets: Sets
    candidates: Candidates
    scaling: Scaling
    held: Held
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
