"""Ridge: every held-out prediction is a matrix times the targets, so that nulls are products.

With M = I - H over all words, leave-one-out residuals are e_i / M_ii and leave-two-out ones
r_{j|ij} = (M_ii e_j - M_ij e_i) / (M_ii M_jj - M_ij^2), where e = M y (Allen 1974; Cook &
Weisberg 1982). Unpenalised regressors sit inside H.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hgcube.kernels.designs import (
    ROUNDING,
    Array,
    Design,
    Fitter,
    Path,
    Split,
    leaves_one_out,
    scaled_on_all_words,
    splits,
)

# Candidate penalties, in multiples of XX's mean eigenvalue over n; the upper end shrinks the model
# to nothing.
MULTIPLES = np.logspace(4, -2, 13)

InnerErrors = Callable[[Array, int], Array]


def prepare(design: Design) -> Fitter:
    """Return the ridge fitter of a design.

    Parameters
    ----------
    design : Design
        Under leave-one-out with one scaling of the features for all folds the closed form is
        used, else every fold is refitted; the numbers are the same.

    Returns
    -------
    callable
        Targets (word, target) -> `Path`. Without `alphas` the candidates are `MULTIPLES` times
        `null_alpha`; with `standardize` "fold" that mean eigenvalue, too, is of the fold's
        training words.
    """
    alphas = _candidates(design)
    shared = design.standardize != "fold" and leaves_one_out(design.testing, design.training)
    added, inner_errors = (_leave_one_out if shared else _refitted)(design, alphas)
    return lambda targets: _fit(design, alphas, added, inner_errors, targets)


def null_alpha(design: Design) -> float:
    """Return the penalty fixed beforehand: the mean eigenvalue of XX' over n.

    Parameters
    ----------
    design : Design
        Targets take no part. X is z-scored on all words, or raw if `standardize` is False,
        and the unpenalised regressors are taken out of it.

    Returns
    -------
    float
        alpha, so that n alpha equals the mean eigenvalue; 1 if X has none.
    """
    scaled = Design(**{**vars(design), "standardize": design.standardize and "all_words"})
    _, eigenvalues = _eigen(scaled_on_all_words(scaled), design.unpenalized)
    return float(eigenvalues.mean() / len(design.features)) or 1.0


def _candidates(design: Design) -> Array:
    """Return the penalties (penalty, fold) to choose from."""
    n_folds = len(design.testing)
    if design.alphas is not None:
        return np.repeat(np.array(design.alphas, dtype=float)[:, None], n_folds, axis=1)
    scale = np.ones(n_folds)
    if design.standardize == "fold":
        for fold, part in splits(design):
            n_words, n_terms = part.unpenalized.shape
            mean_eigenvalue = (part.features**2).sum() / (n_words - n_terms)
            scale[fold] = mean_eigenvalue / n_words or 1.0
    else:
        scale *= null_alpha(design)
    return np.outer(MULTIPLES, scale)


def _eigen(features: Array, unpenalized: Array) -> tuple[Array, Array]:
    """Return eigenvectors and eigenvalues of XX' in the complement of the unpenalised part."""
    complement = np.linalg.qr(unpenalized, mode="complete")[0][:, unpenalized.shape[1] :]
    half = complement.T @ features
    eigenvalues, inside = np.linalg.eigh(half @ half.T)
    return complement @ inside, np.maximum(eigenvalues, 0.0)


def _residual_maker(vectors: Array, eigenvalues: Array, penalty: float) -> Array:
    return np.asarray((vectors * (penalty / (eigenvalues + penalty))) @ vectors.T)


def _leave_one_out(design: Design, alphas: Array) -> tuple[Array, InnerErrors]:
    """Return the added predictions' matrices (penalty, word, word) and the inner errors."""
    vectors, eigenvalues = _eigen(scaled_on_all_words(design), design.unpenalized)
    # One scaling, hence one set of penalties for all folds.
    penalties = alphas[:, 0] * (len(vectors) - 1)
    makers = [_residual_maker(vectors, eigenvalues, penalty) for penalty in penalties]
    without = vectors @ vectors.T
    reference = without / np.diag(without)[:, None]
    added = np.stack([reference - maker / np.diag(maker)[:, None] for maker in makers])
    word_of = design.testing.argmax(axis=1)

    def inner_errors(targets: Array, index: int) -> Array:
        return np.asarray(leave_two_out_errors(makers[index], targets)[word_of])

    return added, inner_errors


def leave_two_out_errors(maker: Array, targets: Array) -> Array:
    """Return, for each left-out word, the squared inner leave-one-out errors of all others.

    Parameters
    ----------
    maker : (word, word) float64
        M = I - H at one penalty.
    targets : (word, target) float64

    Returns
    -------
    (word, target) float64
        Row i: sum over j of r_{j|ij}^2; word i's own target has no part in it.
    """
    own = np.diag(maker)
    weight = np.outer(own, own) - maker**2
    np.fill_diagonal(weight, np.inf)
    weight = weight**-2
    residuals = maker @ targets
    square = own[:, None] ** 2 * (weight @ residuals**2)
    cross = own[:, None] * residuals * ((weight * maker) @ residuals)
    self_square = (weight * maker**2).sum(axis=1)[:, None] * residuals**2
    return np.asarray(square - 2 * cross + self_square)


def _refitted(design: Design, alphas: Array) -> tuple[Array, InnerErrors]:
    """Do as `_leave_one_out` for any folds, each with its own scaling."""
    n_words = len(design.features)
    added = np.zeros((len(alphas), n_words, n_words))
    parts: dict[int, tuple[Split, Array, Array]] = {}
    for fold, part in splits(design):
        vectors, eigenvalues = _eigen(part.features, part.unpenalized)
        parts[fold] = (part, vectors, eigenvalues)
        kernel = part.test_features @ (part.features.T @ vectors)
        for index, penalty in enumerate(alphas[:, fold] * len(part.train)):
            rows = (kernel / (eigenvalues + penalty)) @ vectors.T
            added[index][np.ix_(part.test, part.train)] = rows

    def inner_errors(targets: Array, index: int) -> Array:
        errors = np.zeros((len(design.testing), targets.shape[1]))
        for fold, (part, vectors, eigenvalues) in parts.items():
            penalty = float(alphas[index, fold]) * len(part.train)
            maker = _residual_maker(vectors, eigenvalues, penalty)
            inner = (maker @ targets[part.train]) / np.diag(maker)[:, None]
            errors[fold] = (inner**2).sum(axis=0)
        return errors

    return added, inner_errors


def _fit(
    design: Design, alphas: Array, added: Array, inner_errors: InnerErrors, targets: Array
) -> Path:
    shape = (len(design.testing), targets.shape[1])
    errors = np.zeros((len(alphas), *shape))
    if len(alphas) > 1:
        for index in range(len(alphas)):
            errors[index] = inner_errors(targets, index)
    return Path(
        alpha=alphas,
        l1_ratio=np.zeros(len(alphas)),
        added=added @ targets,
        n_nonzero=np.broadcast_to(float(_n_varying(design.features)), errors.shape),
        l1_max=np.broadcast_to(np.inf, shape),
        errors=errors,
        not_converged=np.zeros(shape[1], dtype=np.int64),
    )


def _n_varying(features: Array) -> int:
    return int(np.count_nonzero(np.ptp(features, axis=0) > ROUNDING * np.abs(features).max(axis=0)))
