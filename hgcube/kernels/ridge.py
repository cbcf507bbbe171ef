"""Ridge: every held-out prediction and inner error is a matrix times the targets.

With M = I - H over all words, leave-one-out residuals are e_i / M_ii and leave-two-out ones
r_{j|ij} = (M_ii e_j - M_ij e_i) / (M_ii M_jj - M_ij^2), where e = M y (Allen 1974; Cook &
Weisberg 1982). Unpenalised regressors sit inside H. Least squares is the limit alpha -> 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from hgcube.kernels.components import principal_scores
from hgcube.kernels.designs import (
    ROUNDING,
    Array,
    Design,
    Fitter,
    Path,
    Split,
    inner_splits,
    leaves_one_out,
    scaled_on_all_words,
    splits,
)
from hgcube.kernels.spectra import Spectrum

# Candidate penalties, in multiples of XX's mean eigenvalue over n; the upper end shrinks the model
# to nothing.
MULTIPLES = np.logspace(4, -2, 13)

# Words up to which the closed form's matrices are kept between calls: .3 GB at 13 penalties.
KEPT_WORDS = 1_000

# Targets (word, target) -> added (candidate, word, target), errors (candidate, fold, target).
Engine = Callable[[Array], tuple[Array, Array]]
# Targets (word, target) -> inner errors of one fold (candidate, target).
Judge = Callable[[Array], Array]
# Candidate, residuals on the training words -> what each inner fold leaves of its own words.
HeldOut = Callable[[int, Array], Array]


def prepare(design: Design) -> Fitter:
    """Return the ridge fitter of a design.

    Parameters
    ----------
    design : Design
        Under leave-one-out, inner too, with one scaling of the features for all folds the closed
        form is used, else every fold is refitted; the numbers are the same. Inner folds keep the
        scaling of their fold, but have principal components of their own.

    Returns
    -------
    callable
        Targets (word, target) -> `Path`. Without `alphas` the candidates are `MULTIPLES` times
        the mean eigenvalue of XX' over n on the fold's training words; in the closed form, times
        `null_alpha`.
    """
    closed = (
        design.standardize != "fold"
        and design.components is None
        and design.inner is None
        and leaves_one_out(design.testing, design.training)
    )
    alphas = _candidates(design, closed=closed)
    engine, counts = (_leave_one_out if closed else _refitted)(design, alphas)
    return lambda targets: _path(alphas, counts, engine, targets)


def _path(alphas: Array, counts: Array, engine: Engine, targets: Array) -> Path:
    # The intercept is unpenalised: a common offset would leave nothing but its rounding.
    added, errors = engine(targets - targets.mean(axis=0))
    return Path(
        alpha=alphas,
        l1_ratio=np.zeros(len(alphas)),
        added=added,
        n_nonzero=np.broadcast_to(counts[:, None], errors.shape),
        l1_max=np.broadcast_to(np.inf, errors.shape[1:]),
        errors=errors,
        not_converged=np.zeros(targets.shape[1], dtype=np.int64),
    )


def null_alpha(design: Design) -> float:
    """Return the penalty fixed beforehand: the mean eigenvalue of XX' over n.

    Parameters
    ----------
    design : Design
        Targets take no part. X is z-scored on all words, or raw if `standardize` is False, then
        replaced by its components if there are any; the unpenalised regressors are taken out.

    Returns
    -------
    float
        alpha, so that n alpha equals the mean eigenvalue; 1 if X has none.
    """
    features = _shared(replace(design, standardize=design.standardize and "all_words"))
    if design.components is not None:
        features = principal_scores(features, features, design.components)
    smooth = design.unpenalized @ (np.linalg.pinv(design.unpenalized) @ features)
    return _mean_eigenvalue(features - smooth, design.unpenalized)


def _shared(design: Design) -> Array:
    """Return the features on the scale that all folds share; constant ones are 0."""
    features = scaled_on_all_words(design)
    varies = np.ptp(features, axis=0) > ROUNDING * np.abs(features).max(axis=0)
    return np.where(varies, features, 0.0)


def _mean_eigenvalue(features: Array, unpenalized: Array) -> float:
    """Return that of XX' over n, for X free of the unpenalised part; 1 if it is 0."""
    n_words, n_terms = unpenalized.shape
    return float((features**2).sum() / (n_words - n_terms) / n_words) or 1.0


def _candidates(design: Design, *, closed: bool) -> Array:
    """Return the penalties (candidate, fold) to choose from."""
    n_folds = len(design.testing)
    if design.alphas is not None:
        return np.repeat(np.array(design.alphas, dtype=float)[:, None], n_folds, axis=1)
    scale = np.ones(n_folds)
    if closed:
        scale *= null_alpha(design)
    else:
        for fold, part in splits(design):
            scale[fold] = _mean_eigenvalue(part.features, part.unpenalized)
    return np.outer(MULTIPLES, scale)


def _leave_one_out(design: Design, alphas: Array) -> tuple[Engine, Array]:
    """Return the closed form for one scaling of the features, and how many features vary."""
    features = _shared(design)
    spectrum = Spectrum.of(features, design.unpenalized)
    # One scaling, hence one set of penalties for all folds.
    penalties = alphas[:, 0] * (len(features) - 1)
    make = partial(_closed_form, spectrum, penalties)
    matrices = cache(make) if len(features) <= KEPT_WORDS else make
    without = spectrum.residual_maker(np.ones(len(spectrum.eigenvalues)))
    word_of = design.testing.argmax(axis=1)
    in_order = np.array_equal(word_of, np.arange(len(features)))

    def engine(targets: Array) -> tuple[Array, Array]:
        reference = (without @ targets) / np.diag(without)[:, None]
        added = np.empty((len(penalties), *targets.shape))
        errors = np.zeros_like(added)
        for index in range(len(penalties)):
            form = matrices(index)
            residuals = form.products(targets, errors[index] if len(penalties) > 1 else None)
            np.multiply(residuals, form.over_own, out=added[index])
            np.subtract(reference, added[index], out=added[index])
        return added, errors if in_order else errors[:, word_of]

    return engine, np.full(len(word_of), float(features.any(axis=0).sum()))


@dataclass(frozen=True, kw_only=True)
class _ClosedForm:
    """One penalty's matrices: M above that of the errors' cross term (2 word, word), of squares."""

    both: Array
    square: Array
    over_own: Array

    def products(self, targets: Array, errors: Array | None) -> Array:
        """Return M y; write, for each left-out word i, the sum over j of r_{j|ij}^2 to `errors`."""
        n_words = len(targets)
        if errors is None:
            return np.asarray(self.both[:n_words] @ targets)
        found = self.both @ targets
        residuals, cross = found[:n_words], found[n_words:]
        np.matmul(self.square, residuals * residuals, out=errors)
        cross *= residuals
        errors -= cross
        return np.asarray(residuals)


def _closed_form(spectrum: Spectrum, penalties: Array, index: int) -> _ClosedForm:
    """Return the matrices of a penalty.

    With w_ij = 1 / (M_ii M_jj - M_ij^2)^2, the sum over j of w_ij (M_ii e_j - M_ij e_i)^2 is a
    product with e^2 (M_ii^2 w_ij and, at j = i, the sum of w_ij M_ij^2) less e_i times one with y.
    """
    maker = spectrum.residual_maker(spectrum.shrinkage(float(penalties[index])))
    own = np.diag(maker)
    weight = np.outer(own, own) - maker**2
    np.fill_diagonal(weight, np.inf)
    weight = weight**-2
    square = own[:, None] ** 2 * weight
    np.fill_diagonal(square, (weight * maker**2).sum(axis=1))
    cross = 2 * own[:, None] * ((weight * maker) @ maker)
    return _ClosedForm(both=np.vstack([maker, cross]), square=square, over_own=1 / own[:, None])


def _refitted(design: Design, alphas: Array) -> tuple[Engine, Array]:
    """Return the engine for any folds, and how many regressors vary in each."""
    fits = {fold: _Fit.of(part, alphas[:, fold]) for fold, part in splits(design)}
    judges = {fold: _judge(design, fit) for fold, fit in fits.items()} if len(alphas) > 1 else {}
    counts = np.zeros(len(design.testing))
    for fold, fit in fits.items():
        counts[fold] = fit.part.features.any(axis=0).sum()

    def engine(targets: Array) -> tuple[Array, Array]:
        added = np.zeros((len(alphas), *targets.shape))
        errors = np.zeros((len(alphas), len(counts), targets.shape[1]))
        for fit in fits.values():
            added[:, fit.part.test] = fit.added(targets)
        for fold, judge in judges.items():
            errors[:, fold] = judge(targets)
        return added, errors

    return engine, counts


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """One fold at all its penalties; `rows` (candidate, test, vector) predict from the vectors."""

    part: Split
    alphas: Array
    spectrum: Spectrum
    rows: Array

    @classmethod
    def of(cls, part: Split, alphas: Array) -> _Fit:
        spectrum = Spectrum.of(part.features, part.unpenalized)
        kernel = part.test_features @ (part.features.T @ spectrum.vectors)
        penalties = alphas[:, None] * len(part.train)
        rows = kernel / (spectrum.eigenvalues + penalties)[:, None]
        return cls(part=part, alphas=alphas, spectrum=spectrum, rows=rows)

    def added(self, targets: Array) -> Array:
        """Return the added predictions (candidate, test, target) from all words' targets."""
        return np.asarray(self.rows @ (self.spectrum.vectors.T @ targets[self.part.train]))


def _judge(design: Design, fit: _Fit) -> Judge:
    """Return what gives a fold's inner errors (candidate, target) from all words' targets."""
    if design.components is not None:
        inner = [_Fit.of(part, fit.alphas) for part in inner_splits(design, fit.part)]
        return partial(_refitted_errors, inner, design.unpenalized)
    n_words = len(fit.part.train)
    shrinkage = np.stack([fit.spectrum.shrinkage(alpha * n_words) for alpha in fit.alphas])
    held_out = (
        _left_out_words(fit.spectrum, shrinkage)
        if design.inner is None
        else _left_out_blocks(fit.spectrum, shrinkage, min(design.inner, n_words))
    )
    return partial(_closed_errors, fit, shrinkage, held_out)


def _refitted_errors(inner: list[_Fit], unpenalized: Array, targets: Array) -> Array:
    errors = np.zeros((len(inner[0].alphas), targets.shape[1]))
    for fit in inner:
        test = fit.part.test
        under = unpenalized[test] @ (fit.part.projector @ targets[fit.part.train])
        errors += ((targets[test] - under - fit.added(targets)) ** 2).sum(axis=1)
    return errors


def _closed_errors(fit: _Fit, shrinkage: Array, held_out: HeldOut, targets: Array) -> Array:
    training = targets[fit.part.train]
    weights = fit.spectrum.vectors.T @ training
    untouched = fit.spectrum.untouched(training, weights)
    errors = np.empty((len(shrinkage), targets.shape[1]))
    for index, shrunk in enumerate(shrinkage):
        residuals = fit.spectrum.vectors @ (shrunk[:, None] * weights) + untouched
        inner = held_out(index, residuals)
        errors[index] = np.einsum("wt,wt->t", inner, inner)
    return errors


def _left_out_words(spectrum: Spectrum, shrinkage: Array) -> HeldOut:
    """Return what turns residuals e (word, target) of a candidate into e_i / M_ii."""
    own = np.stack([np.diag(spectrum.residual_maker(shrunk)) for shrunk in shrinkage])
    return lambda index, residuals: np.asarray(residuals / own[index][:, None])


def _left_out_blocks(spectrum: Spectrum, shrinkage: Array, n_blocks: int) -> HeldOut:
    """Return what turns residuals e of a candidate into M_BB^-1 e_B, block B by block."""
    blocks = np.array_split(np.arange(len(spectrum.vectors)), n_blocks)
    makers = [spectrum.residual_maker(shrunk) for shrunk in shrinkage]
    inverses = [
        [np.linalg.pinv(maker[np.ix_(block, block)], hermitian=True) for block in blocks]
        for maker in makers
    ]

    def held_out(index: int, residuals: Array) -> Array:
        found = [
            inverse @ residuals[block]
            for block, inverse in zip(blocks, inverses[index], strict=True)
        ]
        return np.concatenate(found)

    return held_out
