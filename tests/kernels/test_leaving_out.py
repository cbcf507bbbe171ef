"""Leave-one-out of the elastic-net engine: all folds at once, inner folds, targets apart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from hgcube.kernels import elastic_net, leaving_out, shared
from hgcube.kernels.designs import Design, splits
from hgcube.kernels.order import order_regressors
from hgcube.kernels.solvers import SOLVERS

FIELDS = ("added", "n_nonzero", "l1_max", "errors", "not_converged")
N_WORDS = 25


def design_of(features, **options):
    testing = np.eye(len(features), dtype=bool)
    stated = {
        "unpenalized": order_regressors(len(features), 2),
        "standardize": "all_words",
        "alphas": (0.5, 0.2, 0.05),
        "l1_ratios": (0.8,),
        **options,
    }
    return Design(features=features, testing=testing, training=~testing, **stated)


def noisy(rng, n_words, n_features, n_targets):
    features = rng.standard_normal((n_words, n_features)) + rng.uniform(-2, 2, n_features)
    weights = rng.standard_normal((2, n_targets))
    noise = rng.standard_normal((n_words, n_targets))
    return features, features[:, :2] @ weights + noise + 4


def results_of(study, targets):
    n_targets, n_candidates = targets.shape[1], study.candidates.l1.size
    n_folds = study.sets.n_folds
    out = shared.Results(
        np.zeros((n_targets, n_candidates, len(targets))),
        np.zeros((n_targets, n_candidates, n_folds)),
        np.zeros((n_targets, n_folds)),
        np.zeros((n_targets, n_candidates, n_folds)),
        np.zeros(n_targets, dtype=np.int64),
    )
    leaving_out.paths(study, np.ascontiguousarray(targets.T), out)
    return out


@pytest.mark.parametrize("standardize", ["all_words", False])
@pytest.mark.parametrize("n_features", [12, 40])
def test_all_folds_at_once_equal_fold_by_fold(rng, n_features, standardize):
    """On a 10 x 10 grid of l1 and l2 from 0.001 to 1."""
    features, targets = noisy(rng, N_WORDS, n_features, 3)
    design = design_of(features, standardize=standardize, alphas=(1.0,))
    values = np.geomspace(1.0, 1e-3, 10)
    study = elastic_net._study(design)
    assert study.scaling.shared
    study = study._replace(
        candidates=shared.Candidates(
            np.tile(values, 10), np.repeat(values, 10), np.arange(100) % 10 == 0
        )
    )
    together = results_of(study, targets)
    singly = results_of(study._replace(scaling=study.scaling._replace(shared=False)), targets)
    assert not together.not_converged.any()
    assert not singly.not_converged.any()
    np.testing.assert_array_equal(together.n_nonzero, singly.n_nonzero)
    scale = np.abs(singly.added).max(axis=(1, 2), keepdims=True)
    assert (np.abs(together.added - singly.added) <= 1e-10 * scale).all()
    assert singly.n_nonzero.min() <= 1
    assert singly.n_nonzero.max() == n_features if n_features == 12 else N_WORDS - 3
    assert np.ptp(singly.n_nonzero, axis=2).max() > 2  # active sets differ between folds


@pytest.mark.parametrize(
    ("standardize", "components"), [("fold", None), ("all_words", None), (False, None), ("fold", 5)]
)
def test_a_sweep_equals_its_penalties_one_by_one(rng, standardize, components):
    features, targets = noisy(rng, N_WORDS, 30, 2)
    design = design_of(features, standardize=standardize, components=components)
    l1, l2 = np.tile([0.6, 0.1, 0.02], 2), np.repeat([1.0, 0.01], 3)
    path = elastic_net.sweep(design, l1, l2)(targets)
    assert not path.not_converged.any()
    assert not path.errors.any()
    for place, (one, other) in enumerate(zip(l1, l2, strict=True)):
        alone = replace(design, alphas=(one + other,), l1_ratios=(one / (one + other),))
        expected = SOLVERS["elastic_net"].prepare(alone)(targets)
        np.testing.assert_allclose(path.alpha[place], expected.alpha[0], rtol=1e-12)
        np.testing.assert_allclose(path.added[place], expected.added[0], atol=1e-9)
        np.testing.assert_array_equal(path.n_nonzero[place], expected.n_nonzero[0])
        np.testing.assert_array_equal(path.l1_max, expected.l1_max)
    # Both penalties matter.
    assert np.abs(np.diff(path.added[[0, 2, 5]], axis=0)).max(axis=(1, 2)).min() > 1e-2


def inner_errors(design, target, candidate):
    """Sums of squared errors (fold,) of the words left out beside each fold's, by scikit-learn."""
    from sklearn.linear_model import ElasticNet

    alpha, l1_ratio = candidate
    n_words, errors = len(target), np.zeros(len(target))
    for fold, word in [(i, j) for i in range(n_words) for j in range(n_words) if i != j]:
        kept = np.delete(np.arange(n_words), [fold, word])
        free = design.unpenalized
        both = np.column_stack([design.features, target])
        both = both - free @ np.linalg.lstsq(free[kept], both[kept], rcond=None)[0]
        model = ElasticNet(
            alpha=alpha, l1_ratio=l1_ratio, tol=1e-13, max_iter=10**6, fit_intercept=False
        )
        model.fit(both[kept, :-1], both[kept, -1])
        errors[fold] += (both[word, -1] - model.predict(both[[word], :-1])[0]) ** 2
    return errors


def test_pairs_give_the_inner_errors_of_both_their_folds(rng):
    features, targets = noisy(rng, 15, 10, 1)
    design = design_of(features, standardize=False, alphas=(0.4, 0.05), l1_ratios=(0.5, 0.9))
    path = SOLVERS["elastic_net"].prepare(design)(targets)
    for place, candidate in enumerate([(0.4, 0.5), (0.05, 0.5), (0.4, 0.9), (0.05, 0.9)]):
        assert (path.alpha[place, 0], path.l1_ratio[place]) == candidate
        expected = inner_errors(design, targets[:, 0], candidate)
        np.testing.assert_allclose(path.errors[place, :, 0], expected, rtol=1e-8)
    assert np.ptp(path.errors, axis=0).min() > 1e-2


def test_candidates_with_too_many_weights_are_left_out_fold_by_fold(rng):
    features, targets = noisy(rng, 15, 20, 3)
    options = {"alphas": tuple(np.geomspace(0.8, 0.02, 8)), "l1_ratios": (0.4, 0.9)}
    design = design_of(features, **options)
    whole = SOLVERS["elastic_net"].prepare(design)(targets)
    cut = SOLVERS["elastic_net"].prepare(design_of(features, **options, max_active=6))(targets)
    many = np.concatenate(
        [
            np.logical_or.accumulate(part > 6, axis=0)
            for part in np.split(whole.n_nonzero, 2, axis=0)
        ]
    )
    np.testing.assert_array_equal(np.isinf(cut.errors), many)
    np.testing.assert_array_equal(cut.errors[~many], whole.errors[~many])
    np.testing.assert_array_equal(cut.n_nonzero[~many], whole.n_nonzero[~many])
    assert many.any(axis=1).sum() > many.all(axis=1).sum() > 0  # folds differ


@pytest.mark.parametrize(
    ("standardize", "components"), [("fold", None), ("all_words", None), (False, None), ("fold", 5)]
)
def test_a_target_s_numbers_feel_no_other_to_the_last_bit(rng, standardize, components):
    features, targets = noisy(rng, N_WORDS, 30, 7)
    targets[:, 3] *= 1e6 if standardize else 3
    targets[:, 5] = 1.0
    options = {"standardize": standardize, "components": components, "inner": 3}
    fit = SOLVERS["elastic_net"].prepare(design_of(features, **options))
    together = fit(targets)
    assert together.n_nonzero.max() > 4
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(fit, (targets[:, :3], targets[:, 3:])))
    backwards = fit(targets[:, ::-1])
    for name in FIELDS:
        expected = getattr(together, name)
        np.testing.assert_array_equal(getattr(backwards, name)[..., ::-1], expected)
        parts = [getattr(half, name) for half in halves]
        np.testing.assert_array_equal(np.concatenate(parts, axis=-1), expected)
        for target in range(7):
            alone = getattr(fit(targets[:, [target]]), name)
            np.testing.assert_array_equal(alone[..., 0], expected[..., target])


def test_a_target_that_is_no_number_is_counted(rng):
    features, targets = noisy(rng, N_WORDS, 12, 2)
    holed = targets.copy()
    holed[3, 1] = np.nan
    for standardize in ("fold", "all_words", False):
        fit = SOLVERS["elastic_net"].prepare(design_of(features, standardize=standardize, inner=3))
        path = fit(holed)
        assert path.not_converged[0] == 0
        assert path.not_converged[1] == 3 * (N_WORDS + 3 * N_WORDS)
        np.testing.assert_array_equal(path.added[..., 0], fit(targets).added[..., 0])


@pytest.mark.slow
@pytest.mark.parametrize("standardize", ["fold", "all_words"])
def test_a_whole_grid_of_a_real_size(rng, standardize):
    """l1 and l2 from 0.001 to 1; some fits of all kinds beside scikit-learn's."""
    from sklearn.linear_model import ElasticNet

    mixing = np.geomspace(1, 0.03, 300)[:, None] * rng.standard_normal((300, 300))
    features = rng.standard_normal((100, 300)) @ mixing
    weights = rng.standard_normal((5, 8)) / features[:, :5].std(axis=0)[:, None]
    targets = features[:, :5] @ weights + 4 * rng.standard_normal((100, 8))
    design = design_of(features, standardize=standardize, alphas=(1.0,))
    values = np.geomspace(1.0, 1e-3, 10)
    l1, l2 = np.tile(values, 10), np.repeat(values, 10)
    study = elastic_net._study(design)._replace(
        candidates=shared.Candidates(l1, l2, np.arange(100) % 10 == 0)
    )
    out = results_of(study, targets)
    assert not out.not_converged.any()
    parts, sizes = dict(splits(design)), []
    for place in (2, 13, 23, 45, 67, 79, 96, 99):
        fold, target = rng.integers(100), rng.integers(8)
        part, values = parts[fold], targets[:, target]
        model = ElasticNet(
            alpha=l1[place] + l2[place],
            l1_ratio=l1[place] / (l1[place] + l2[place]),
            fit_intercept=False,
            tol=1e-14,
            max_iter=10**6,
        )
        spread = values[part.train].std()
        model.fit(part.features, part.residuals(values[part.train]) / spread)
        expected = spread * model.predict(part.test_features)[0]
        assert abs(out.added[target, place, fold] - expected) <= 1e-9 * spread
        assert out.n_nonzero[target, place, fold] == np.count_nonzero(model.coef_)
        sizes.append(np.count_nonzero(model.coef_))
    assert min(sizes) < 10
    assert any(10 < size < 80 for size in sizes)
    assert max(sizes) > 100
