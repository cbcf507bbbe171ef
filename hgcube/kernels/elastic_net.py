"""The exact elastic net: every fold, candidate and inner fold of a block of targets.

The algebra is in `hgcube.kernels.active_sets` and docs/elastic_net.md. Designs whose folds differ
by more than the words they leave out (principal components, or a feature that hardly varies in
some fold) are fitted fold by fold from Gram matrices of their own, by the same steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hgcube.kernels.compiled import announced
from hgcube.kernels.designs import (
    ROUNDING,
    Array,
    Design,
    Fitter,
    Mask,
    Path,
    Split,
    elastic_candidates,
    exclude,
    inner_splits,
    leaves_one_out,
    product,
    splits,
    z_scored,
)
from hgcube.kernels.subsets import WordSets, inverse_makers, spreads, word_sets


def prepare(design: Design) -> Fitter:
    """Return the elastic-net fitter of a design.

    Parameters
    ----------
    design : Design

    Returns
    -------
    callable
        Targets (word, target) -> `Path`. What does not depend on the targets is computed once.
    """
    study = None if design.components is not None else _study(design)
    if study is None:
        return lambda targets: _fold_by_fold(design, targets)
    return lambda targets: _together(design, study, *elastic_candidates(design), targets)


def sweep(design: Design, l1: Array, l2: Array) -> Fitter:
    """Return the fitter of many penalties, between which it does not choose.

    Parameters
    ----------
    design : Design
        Its own candidates are not used.
    l1, l2 : (candidate,) float64
        Penalties per training word, alpha * l1_ratio and alpha * (1 - l1_ratio). Each starts from
        the solution before it, so that l1 should fall.

    Returns
    -------
    callable
        Targets (word, target) -> `Path` without errors of inner folds.
    """
    alpha, l1_ratio = l1 + l2, l1 / (l1 + l2)
    pairs = [
        replace(design, alphas=(one,), l1_ratios=(ratio,))
        for one, ratio in zip(alpha, l1_ratio, strict=True)
    ]
    study = None if design.components is not None else _study(pairs[0])
    if study is None:
        return lambda targets: _stacked([_fold_by_fold(pair, targets) for pair in pairs])
    from hgcube.kernels.shared import Candidates

    stated = study._replace(candidates=Candidates(l1, l2, np.append(True, np.diff(l1) > 0)))
    return lambda targets: _together(design, stated, alpha, l1_ratio, targets)


def _stacked(paths: list[Path]) -> Path:
    """Return paths of one candidate each as one."""
    return Path(
        alpha=np.concatenate([path.alpha for path in paths]),
        l1_ratio=np.concatenate([path.l1_ratio for path in paths]),
        added=np.concatenate([path.added for path in paths]),
        n_nonzero=np.concatenate([path.n_nonzero for path in paths]),
        l1_max=paths[0].l1_max,
        errors=np.concatenate([path.errors for path in paths]),
        not_converged=np.sum([path.not_converged for path in paths], axis=0),
    )


def warm_up() -> None:
    """Compile the engine, if this machine has not."""
    for name in ("leaving_out", "own_grams"):
        announced(name)


def example() -> None:
    """Run every kernel once, so that it is compiled."""
    words = np.eye(4)
    design = Design(
        features=words,
        unpenalized=np.ones((4, 1)),
        testing=words > 0,
        training=words == 0,
        standardize="fold",
        alphas=(0.1,),
    )
    for each in (design, replace(design, components=1)):
        prepare(each)(words)


def _study(design: Design) -> Any:
    """Return what the compiled engine needs beside targets; None where folds need their own."""
    alpha, l1_ratio = elastic_candidates(design)
    sets = word_sets(design, nested=len(alpha) > 1)
    centred = design.features - design.features.mean(axis=0)
    if design.standardize:
        centred = z_scored(design.features, design.features)
    inverse, scale = inverse_makers(sets, design.unpenalized), spreads(sets, centred)
    if inverse is None or scale is None:
        return None
    from hgcube.kernels import shared

    projector = np.linalg.pinv(design.unpenalized)
    features = np.ascontiguousarray(centred - design.unpenalized @ (projector @ centred))
    by_fold = design.standardize == "fold"
    constant = np.ptp(centred, axis=0) == 0
    together = not by_fold and leaves_one_out(design.testing, design.training)
    return shared.Study(
        shared.Words(
            features.T @ features,
            features,
            centred,
            np.array(design.unpenalized, order="C"),
            np.ascontiguousarray(projector),
        ),
        shared.Sets(sets.removed, inverse, sets.credit, sets.tested, len(sets.folds)),
        shared.Candidates(alpha * l1_ratio, alpha * (1 - l1_ratio), _starts(l1_ratio)),
        shared.Scaling(
            design.standardize is not False,
            by_fold,
            np.where(constant, shared.NEVER, 1.0),
            np.where(scale > 0, scale, shared.NEVER),
            1 / np.where(scale > 0, scale, shared.NEVER) if by_fold else 1.0 * ~constant[None],
            together,
        ),
        _held(sets, inverse, features, together),
        len(design.features[0]) if design.max_active is None else design.max_active,
    )


def _held(sets: WordSets, inverse: Array, features: Array, together: bool) -> Any:
    """Return the words that folds leave out one by one; none if folds are not fitted together."""
    from hgcube.kernels.solution import Held

    n_folds = len(sets.folds) if together else 0
    words = np.ascontiguousarray(sets.removed[:n_folds, 0])
    held = np.ascontiguousarray(features[words].T)
    reach = np.abs(held).max(axis=1, initial=0.0)
    corrections = np.ascontiguousarray(inverse[:n_folds, 0, 0])
    return Held(words, corrections, held, reach, (float(reach.min()), float(reach.max())))


def _starts(l1_ratio: Array) -> Mask:
    return np.append(True, np.diff(l1_ratio) != 0)


def _together(design: Design, study: Any, alpha: Array, l1_ratio: Array, targets: Array) -> Path:
    """Fit all folds from all words' Gram matrix."""
    n_targets, n_tested = targets.shape[1], study.sets.n_folds
    from hgcube.kernels.shared import Results

    out = Results(
        added=np.zeros((n_targets, len(alpha), len(targets))),
        n_nonzero=np.zeros((n_targets, len(alpha), n_tested)),
        l1_max=np.zeros((n_targets, n_tested)),
        errors=np.zeros((n_targets, len(alpha), n_tested)),
        not_converged=np.zeros(n_targets, dtype=np.int64),
    )
    # A copy: what another process sent is read-only, for which all would be compiled again.
    announced("leaving_out").paths(study, np.array(targets.T, order="C"), out)
    tested: Mask = np.asarray(design.testing.any(axis=1))
    return Path(
        alpha=np.repeat(alpha[:, None], len(tested), axis=1),
        l1_ratio=l1_ratio,
        added=np.moveaxis(out.added, 0, -1),
        n_nonzero=_on_all_folds(np.moveaxis(out.n_nonzero, 0, -1), tested),
        l1_max=_on_all_folds(out.l1_max.T, tested),
        errors=_on_all_folds(np.moveaxis(out.errors, 0, -1), tested),
        not_converged=out.not_converged,
    )


def _on_all_folds(values: Array, tested: Mask) -> Array:
    """Return values (..., fold, target) with 0 for the folds that test no word."""
    if tested.all():
        return values
    whole = np.zeros((*values.shape[:-2], len(tested), values.shape[-1]))
    whole[..., tested, :] = values
    return whole


def _fold_by_fold(design: Design, targets: Array) -> Path:
    """Fit every fold on a design of its own."""
    alpha, l1_ratio = elastic_candidates(design)
    n_folds, n_targets = len(design.testing), targets.shape[1]
    added = np.zeros((len(alpha), *targets.shape))
    n_nonzero, errors = np.zeros((2, len(alpha), n_folds, n_targets))
    l1_max = np.zeros((n_folds, n_targets))
    unfinished = np.zeros(n_targets, dtype=np.int64)
    for fold, part in splits(design):
        one = _one(design, part, targets)
        added[:, part.test], n_nonzero[:, fold], l1_max[fold] = one.added, one.n_nonzero, one.l1_max
        unfinished += one.not_converged
        for inner in inner_splits(design, part) if len(alpha) > 1 else ():
            one = _one(design, inner, targets)
            fitted = product(inner.projector, targets[inner.train])
            held_out = targets[inner.test] - product(design.unpenalized[inner.test], fitted)
            # Word by word: NumPy's sums depend on the number of targets.
            for squares in np.moveaxis((held_out - one.added) ** 2, 1, 0):
                errors[:, fold] += squares
            unfinished += one.not_converged
    exclude(errors, n_nonzero, l1_ratio, design.max_active)
    return Path(
        alpha=np.repeat(alpha[:, None], n_folds, axis=1),
        l1_ratio=l1_ratio,
        added=added,
        n_nonzero=n_nonzero,
        l1_max=l1_max,
        errors=errors,
        not_converged=unfinished,
    )


def _spread(training: Array) -> Array:
    """Return the sd of each target, bitwise the same whatever stands beside it."""
    average = np.full((1, len(training)), 1 / len(training))
    return np.asarray(np.sqrt(product(average, (training - product(average, training)) ** 2)[0]))


def _one(design: Design, part: Split, targets: Array) -> Any:
    """Return the engine's results of one split, the targets last."""
    from hgcube.kernels.shared import NEVER, Candidates, Results

    alpha, l1_ratio = elastic_candidates(design)
    training, n_targets = targets[part.train], targets.shape[1]
    spread, n_words = _spread(training), len(part.train)
    varies = spread > ROUNDING * np.abs(training).max(axis=0)
    spread = np.where(varies, spread if design.standardize else 1.0, NEVER)
    residuals = training - product(part.unpenalized, product(part.projector, training))
    products = np.ascontiguousarray(product(part.features.T, residuals).T)
    largest = np.abs(products).max(axis=1, initial=0.0)
    out = Results(
        added=np.zeros((n_targets, len(alpha), len(part.test))),
        n_nonzero=np.zeros((n_targets, len(alpha))),
        l1_max=largest / (n_words * spread) * (1 + ROUNDING),
        errors=np.zeros((0, 0)),
        not_converged=np.zeros(n_targets, dtype=np.int64),
    )
    candidates = Candidates(
        n_words * alpha * l1_ratio, n_words * alpha * (1 - l1_ratio), _starts(l1_ratio)
    )
    gram = np.ascontiguousarray(part.features.T @ part.features)
    test = np.ascontiguousarray(part.test_features)
    announced("own_grams").directly(gram, products, spread, candidates, test, out)
    return out._replace(added=np.moveaxis(out.added, 0, -1), n_nonzero=out.n_nonzero.T)
