"""What a solver is given, how one fold of it is standardised, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hgcube.kernels.components import principal_scores

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Below this share of the largest value, what varies is rounding.
ROUNDING = 1e-12

# Columns of a product that is to be bitwise the same however targets are cut.
_PIECE = 64


@dataclass(frozen=True, kw_only=True)
class Design:
    """One regression, shared by all its targets.

    Parameters
    ----------
    features : (word, feature) float64
        Penalised regressors.
    unpenalized : (word, term) float64
        Regressors without penalty; the first is the intercept.
    testing, training : (fold, word) bool
        Words that a fold predicts and words that it is fitted on.
    standardize : {"fold", "all_words", False}
        z-score the features on the training words of each fold, once on all words (without
        labels), or not at all. Unless False, the elastic net's targets are divided by their sd
        in the training words.
    alphas : tuple of float, optional
        Candidate penalties, falling, on the scale after standardisation: a solver minimises
        ``1/(2n) |y - Fb - Xw|^2 + alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|^2)`` over the n
        training words (scikit-learn's parametrization). The solver's own grid when None.
    l1_ratios : tuple of float
        Candidates, crossed with the penalties; ridge takes one, as 0.
    inner : int, optional
        Contiguous folds of the training words that judge the candidates; leave-one-out when None.
    max_active : int, optional
        A candidate with more non-zero coefficients than this on a fold's training words, and
        every weaker one after it, is not a candidate of that fold.
    components : int or float, optional
        Principal components of the (standardised) training features that replace them, all on
        one scale so that the first has sd 1: their number, or the share of the variance that
        they must hold.
    """

    features: Array
    unpenalized: Array
    testing: Mask
    training: Mask
    standardize: str | bool
    alphas: tuple[float, ...] | None = None
    l1_ratios: tuple[float, ...] = (0.5,)
    inner: int | None = None
    max_active: int | None = None
    components: float | int | None = None


@dataclass(frozen=True, kw_only=True)
class Path:
    """What a solver found for every candidate, strongest first.

    Parameters
    ----------
    alpha : (candidate, fold) float64
        Penalties.
    l1_ratio : (candidate,) float64
        0 for ridge.
    added : (candidate, word, target) float64
        What the penalised part adds to the unpenalised prediction of each held-out word.
    n_nonzero : (candidate, fold, target) float64
        Non-zero coefficients.
    l1_max : (fold, target) float64
        Smallest alpha * l1_ratio without a non-zero coefficient; inf for ridge.
    errors : (candidate, fold, target) float64
        Sums of squared inner errors on the fold's training words, in squared units of the
        target; inf where `max_active` excludes the candidate, whose other values then need not
        be computed unless it is the strongest; 0 if there is one candidate.
    not_converged : (target,) int64
        Fits that stopped before their tolerance.
    """

    alpha: Array
    l1_ratio: Array
    added: Array
    n_nonzero: Array
    l1_max: Array
    errors: Array
    not_converged: npt.NDArray[np.int64]


Fitter = Callable[[Array], Path]


@dataclass(frozen=True, kw_only=True)
class Solver:
    """One estimator.

    Parameters
    ----------
    prepare : callable
        `Design` -> fitter; the fitter takes targets (word, target) and returns a `Path`.
    order_in_model : bool
        The model holds the order regressors, unpenalised, beside the features.
    sparse : bool
        The penalty has an l1 part, so `l1_ratio` applies.
    null_alpha : callable, optional
        `Design` -> the penalty of the null, from the features alone. None where it must be given.
    warm_up : callable
        Compiles what is to be compiled once per machine.
    """

    prepare: Callable[[Design], Fitter]
    order_in_model: bool
    sparse: bool
    null_alpha: Callable[[Design], float] | None
    warm_up: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Split:
    """One fold of a `Design`, the unpenalised regressors taken out of the features.

    Parameters
    ----------
    train, test : (n,) int
        Words.
    features, test_features : (word, feature) float64
        Standardised residuals; a feature constant in training is 0.
    unpenalized, projector : (train, term), (term, train) float64
        Regressors and their pseudo-inverse.
    """

    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]
    features: Array
    test_features: Array
    unpenalized: Array
    projector: Array

    def residuals(self, targets: Array) -> Array:
        """Return the training targets (train, target) without their unpenalised fit."""
        return targets - self.unpenalized @ (self.projector @ targets)


def z_scored(features: Array, training: Array) -> Array:
    """Return features centred and scaled by the mean and sd of `training`; constant ones are 0."""
    mean, spread = training.mean(axis=0), training.std(axis=0)
    varies = spread > ROUNDING * np.abs(training).max(axis=0)
    return np.where(varies, (features - mean) / np.where(varies, spread, 1.0), 0.0)


def scaled_on_all_words(design: Design) -> Array:
    """Return the features as every fold shares them: scaled for "all_words", else as given."""
    if design.standardize == "all_words":
        return z_scored(design.features, design.features)
    return design.features


def split(
    features: Array,
    unpenalized: Array,
    train: npt.NDArray[np.intp],
    test: npt.NDArray[np.intp],
    *,
    standardize: bool,
    components: float | int | None = None,
) -> Split:
    """Return one fold.

    Parameters
    ----------
    features, unpenalized : (word, feature), (word, term) float64
    train, test : (n,) int
    standardize : bool
        z-score on the training words.
    components : int or float, optional
        As in `Design`, fitted on the training words.

    Returns
    -------
    Split
    """
    training = features[train]
    varies = np.ptp(training, axis=0) > ROUNDING * np.abs(training).max(axis=0)
    used = z_scored(features, training) if standardize else np.where(varies, features, 0.0)
    if components is not None:
        used = principal_scores(used, used[train], components)
    projector = np.asarray(np.linalg.pinv(unpenalized[train]), dtype=np.float64)
    slopes = projector @ used[train]
    return Split(
        train=train,
        test=test,
        features=used[train] - unpenalized[train] @ slopes,
        test_features=used[test] - unpenalized[test] @ slopes,
        unpenalized=unpenalized[train],
        projector=projector,
    )


def splits(design: Design) -> Iterator[tuple[int, Split]]:
    """Yield every fold that tests a word, with its number."""
    features = scaled_on_all_words(design)
    strict = design.standardize == "fold"
    for fold, test in enumerate(design.testing):
        if test.any():
            yield (
                fold,
                split(
                    features,
                    design.unpenalized,
                    np.flatnonzero(design.training[fold]),
                    np.flatnonzero(test),
                    standardize=strict,
                    components=design.components,
                ),
            )


def inner_splits(design: Design, part: Split) -> Iterator[Split]:
    """Yield the inner folds that judge the candidates of a fold, standardised as the fold is."""
    features = scaled_on_all_words(design)
    n_words = len(part.train)
    for test in np.array_split(part.train, min(design.inner or n_words, n_words)):
        yield split(
            features,
            design.unpenalized,
            np.setdiff1d(part.train, test),
            test,
            standardize=design.standardize == "fold",
            components=design.components,
        )


def penalties(n_words: int) -> Array:
    """Return the elastic net's own candidates of alpha * l1_ratio, in standardised units.

    Parameters
    ----------
    n_words : int
        Words of all folds.

    Returns
    -------
    (10,) float64
        From 1, where every model is its reference because correlations are at most 1, down to
        half the standard error of a correlation that is 0, ``1 / (2 sqrt(n_words))``: below that
        most of what enters is noise.

    Examples
    --------
    >>> penalties(100)[[0, -1]]
    array([1.  , 0.05])
    """
    return np.geomspace(1.0, 0.5 / np.sqrt(n_words), 10)


def elastic_candidates(design: Design) -> tuple[Array, Array]:
    """Return alpha and l1_ratio (candidate,) of the elastic net: l1_ratio by l1_ratio.

    Parameters
    ----------
    design : Design

    Returns
    -------
    alpha, l1_ratio : (candidate,) float64
        `Design.alphas`, or `penalties` over l1_ratio where it states none; alpha falls.
    """
    own = penalties(len(design.features))
    pairs = [
        (alpha, l1_ratio)
        for l1_ratio in design.l1_ratios
        for alpha in (own / l1_ratio if design.alphas is None else design.alphas)
    ]
    alpha, l1_ratio = np.array(pairs).T
    return alpha, l1_ratio


def exclude(errors: Array, n_nonzero: Array, l1_ratio: Array, max_active: int | None) -> None:
    """Make the errors of candidates with too many coefficients, and of weaker ones, infinite."""
    for ratio in np.unique(l1_ratio) if max_active is not None else ():
        same = l1_ratio == ratio
        excluded = np.logical_or.accumulate(n_nonzero[same] > max_active, axis=0)
        errors[same] = np.where(excluded, np.inf, errors[same])


def to_alpha(l1: float, l2: float, n_words: int) -> tuple[float, float]:
    """Convert the penalties of ``|y - Xw|^2 + l1 |w|_1 + l2 |w|^2`` to scikit-learn's.

    Parameters
    ----------
    l1, l2 : float
        Not both 0.
    n_words : int
        Training words.

    Returns
    -------
    alpha, l1_ratio : float

    Examples
    --------
    >>> alpha, l1_ratio = to_alpha(1.0, 0.0, 100)
    >>> alpha * l1_ratio
    0.005
    """
    return (l1 / 2 + l2) / n_words, l1 / (l1 + 2 * l2)


def from_alpha(alpha: float, l1_ratio: float, n_words: int) -> tuple[float, float]:
    """Convert scikit-learn's penalties to those of ``|y - Xw|^2 + l1 |w|_1 + l2 |w|^2``.

    Parameters
    ----------
    alpha, l1_ratio : float
    n_words : int
        Training words.

    Returns
    -------
    l1, l2 : float
    """
    return 2 * n_words * alpha * l1_ratio, n_words * alpha * (1 - l1_ratio)


def baseline(unpenalized: Array, testing: Mask, training: Mask) -> Array:
    """Return the matrix that predicts each held-out word from unpenalised least squares.

    Parameters
    ----------
    unpenalized : (word, term) float64
    testing, training : (fold, word) bool

    Returns
    -------
    (word, word) float64
        ``matrix @ targets`` are the predictions; row i is 0 outside word i's training words.
    """
    matrix = np.zeros((len(unpenalized), len(unpenalized)))
    for test, train in zip(testing, training, strict=True):
        if test.any():
            rows = unpenalized[test] @ np.linalg.pinv(unpenalized[train])
            matrix[np.ix_(np.flatnonzero(test), np.flatnonzero(train))] = rows
    return matrix


def product(matrix: Array, columns: Array) -> Array:
    """Return ``matrix @ columns``, each column bitwise the same whatever stands beside it.

    BLAS changes the last bits with the shape: all its products here have one shape.
    """
    n_columns = columns.shape[1]
    out = np.empty((len(matrix), n_columns))
    piece = np.zeros((len(columns), _PIECE))
    for start in range(0, n_columns, _PIECE):
        stop = min(start + _PIECE, n_columns)
        piece[:, : stop - start] = columns[:, start:stop]
        out[:, start:stop] = (matrix @ piece)[:, : stop - start]
    return out


def leaves_one_out(testing: Mask, training: Mask) -> bool:
    """Tell whether every fold tests one word at most and trains on all the others."""
    tested = testing.sum(axis=1)
    rest = (~testing == training)[tested > 0].all()
    return bool(tested.max(initial=0) == 1 and rest and testing.any(axis=0).all())
