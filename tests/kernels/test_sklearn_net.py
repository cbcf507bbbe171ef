from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from hgcube.kernels import sklearn_net
from hgcube.kernels.choice import choose
from hgcube.kernels.designs import Design, baseline, from_alpha, penalties, to_alpha
from hgcube.kernels.order import order_regressors

WORDS, FEATURES, TARGETS = 26, 40, 3


@pytest.fixture
def design(rng):
    testing = np.eye(WORDS, dtype=bool)
    return Design(
        features=rng.standard_normal((WORDS, FEATURES)) * np.linspace(1, 3, FEATURES) + 2,
        unpenalized=np.ones((WORDS, 1)),
        testing=testing,
        training=~testing,
        standardize="fold",
        inner=5,
    )


@pytest.fixture
def targets(rng, design):
    weights = rng.standard_normal((3, TARGETS)) * 2
    return design.features[:, :3] @ weights + rng.standard_normal((WORDS, TARGETS)) + 50


def standardized(design, train):
    words = {"fold": train, "all_words": slice(None)}.get(design.standardize)
    if words is None:
        return design.features
    return (design.features - design.features[words].mean(axis=0)) / design.features[words].std(
        axis=0
    )


def oracle(design, targets, word, alpha, l1_ratio=0.5):
    """scikit-learn, one fold and one target at a time."""
    train = np.delete(np.arange(WORDS), word)
    features = standardized(design, train)
    spread = targets[train].std() if design.standardize else 1.0
    center = targets[train].mean()
    model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=10**6)
    model.fit(features[train], (targets[train] - center) / spread)
    return center + spread * model.predict(features[[word]])[0], model.coef_


@pytest.mark.parametrize("standardize", ["fold", "all_words", False])
@pytest.mark.parametrize(
    ("fraction", "l1_ratio"), [(0.5, 0.5), (0.1, 0.5), (0.1, 1.0), (0.03, 0.1)]
)
def test_predictions_equal_scikit_learn(design, targets, standardize, fraction, l1_ratio):
    design = replace(design, standardize=standardize, l1_ratios=(l1_ratio,))
    largest = sklearn_net.prepare(replace(design, alphas=(1e9,)))(targets).l1_max.mean()
    alpha = fraction * largest / l1_ratio
    path = sklearn_net.prepare(replace(design, alphas=(alpha,)))(targets)
    means = baseline(design.unpenalized, design.testing, design.training) @ targets
    for word in (0, 9, WORDS - 1):
        for target in range(TARGETS):
            expected, weights = oracle(design, targets[:, target], word, alpha, l1_ratio)
            found = means[word, target] + path.added[0, word, target]
            assert found == pytest.approx(expected, abs=1e-6)
            assert np.linalg.norm(weights) > 1e-5
            assert path.n_nonzero[0, word, target] == np.count_nonzero(weights)
    assert not path.not_converged.any()


def test_l1_max_is_the_smallest_penalty_without_coefficients(design, targets):
    one = targets[:, :1]
    largest = sklearn_net.prepare(replace(design, alphas=(1e9,)))(one).l1_max[0, 0]
    train = np.delete(np.arange(WORDS), 0)
    features = standardized(design, train)[train]
    scaled = (one[train] - one[train].mean()) / one[train].std()
    assert largest == pytest.approx(np.abs(features.T @ scaled).max() / len(train))
    both = replace(design, alphas=(float(largest) / 0.5, float(largest) / 0.5 * (1 - 1e-3)))
    assert sklearn_net.prepare(both)(one).n_nonzero[:, 0, 0].tolist() == [0, 1]


def test_unpenalized_regressors_are_free(design, targets):
    """Taking them out of both sides equals fitting them without penalty."""
    order = order_regressors(WORDS, 2)
    free = replace(design, unpenalized=order, standardize=False, alphas=(0.4,))
    path = sklearn_net.prepare(free)(targets)
    shifted = sklearn_net.prepare(free)(targets + order @ np.array([[5.0], [70.0], [-9.0]]))
    np.testing.assert_allclose(shifted.added, path.added, atol=1e-7)
    assert (path.n_nonzero > 0).all()


@pytest.mark.parametrize(("inner", "l1_ratios"), [(5, (0.5,)), (None, (0.2, 1.0))])
def test_nested_choice_equals_brute_force(rng, design, targets, inner, l1_ratios):
    design = replace(design, inner=inner, l1_ratios=l1_ratios)
    # Noise enough that the weakest penalty is not always the best.
    targets = targets + 6 * rng.standard_normal(targets.shape)
    path = sklearn_net.prepare(design)(targets[:, :2])
    choice = choose(path, targets[:, :2], design.testing, design.training, np.arange(2))
    pairs = [(value / ratio, ratio) for ratio in l1_ratios for value in penalties(WORDS)]
    for word in (0, 13):
        train = np.delete(np.arange(WORDS), word)
        for target in range(2):
            y = targets[:, target]
            errors = np.zeros(len(pairs))
            for test in np.array_split(train, inner or len(train)):
                rest = np.setdiff1d(train, test)
                features = standardized(design, rest)
                scaled = (y[rest] - y[rest].mean()) / y[rest].std()
                for index, (alpha, ratio) in enumerate(pairs):
                    model = ElasticNet(alpha=alpha, l1_ratio=ratio, tol=1e-8, max_iter=10**6)
                    model.fit(features[rest], scaled)
                    predicted = y[rest].mean() + y[rest].std() * model.predict(features[test])
                    errors[index] += ((y[test] - predicted) ** 2).sum()
            np.testing.assert_allclose(path.errors[:, word, target], errors, rtol=1e-5)
            best = pairs[errors.argmin()]
            assert (choice.alpha[word, target], choice.l1_ratio[word, target]) == best
    assert len(np.unique(choice.candidate)) > 1


def test_candidates_with_too_many_coefficients_and_weaker_ones_are_excluded(design, targets):
    free = sklearn_net.prepare(design)(targets)
    path = sklearn_net.prepare(replace(design, max_active=3))(targets)
    over = np.maximum.accumulate(free.n_nonzero, axis=0) > 3
    np.testing.assert_array_equal(np.isinf(path.errors), over)
    np.testing.assert_array_equal(path.errors[~over], free.errors[~over])
    assert over.any()
    assert not over.all(axis=0).any()


def test_held_out_value_does_not_reach_its_own_fold(design, targets):
    before = sklearn_net.prepare(design)(targets[:, :1])
    changed = targets[:, :1].copy()
    changed[4] += 100
    after = sklearn_net.prepare(design)(changed)
    for name in ("n_nonzero", "added", "errors"):
        np.testing.assert_array_equal(getattr(after, name)[:, 4], getattr(before, name)[:, 4])
    np.testing.assert_array_equal(after.l1_max[4], before.l1_max[4])
    assert np.abs(after.added - before.added).max() > 0.1


def test_unit_of_the_targets_does_not_matter(design, targets):
    path = sklearn_net.prepare(design)(targets[:, :1])
    scaled = sklearn_net.prepare(design)(targets[:, :1] * 1e-6)
    np.testing.assert_allclose(scaled.added, path.added * 1e-6, rtol=1e-6, atol=1e-13)
    np.testing.assert_allclose(scaled.errors, path.errors * 1e-12, rtol=1e-6)


def test_targets_and_features_that_do_not_vary(design, targets):
    constant = targets.copy()
    constant[:, 0] = 0.1
    features = design.features.copy()
    features[:, :2] = 0.3
    path = sklearn_net.prepare(replace(design, features=features))(constant)
    assert (path.added[:, :, 0] == 0).all()
    assert (path.n_nonzero[:, :, 0] == 0).all()
    assert path.n_nonzero[:, :, 1:].max() <= FEATURES - 2
    assert np.abs(path.added[:, :, 1:]).max() > 0


def test_fits_that_do_not_converge_are_counted(design, targets, monkeypatch):
    monkeypatch.setattr(sklearn_net, "MAX_SWEEPS", 2)
    path = sklearn_net.prepare(replace(design, alphas=(0.01,)))(targets)
    assert (path.not_converged > 0).all()


@pytest.mark.parametrize(("l1", "l2"), [(1.0, 0.0), (1.0, 1.0), (0.0, 2.5), (0.3, 0.07)])
def test_parametrisations_convert_exactly(rng, l1, l2):
    words = 99
    alpha, l1_ratio = to_alpha(l1, l2, words)
    np.testing.assert_allclose(from_alpha(alpha, l1_ratio, words), (l1, l2), rtol=1e-14)
    features, y = rng.standard_normal((words, 4)), rng.standard_normal(words)
    for weights in rng.standard_normal((3, 4)):
        error = ((y - features @ weights) ** 2).sum()
        size, square = np.abs(weights).sum(), weights @ weights
        paper = error + l1 * size + l2 * square
        theirs = error / (2 * words) + alpha * (l1_ratio * size + (1 - l1_ratio) / 2 * square)
        assert paper == pytest.approx(2 * words * theirs, rel=1e-13)


def test_the_paper_s_unit_penalty():
    alpha, l1_ratio = to_alpha(1.0, 1.0, 99)
    assert alpha * l1_ratio == pytest.approx(0.5 / 99)
