from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from hgcube.kernels import ridge
from hgcube.kernels.choice import choose
from hgcube.kernels.designs import Design, baseline, leaves_one_out
from hgcube.kernels.order import order_regressors

WORDS, FEATURES, TARGETS = 24, 30, 3


@pytest.fixture
def design(rng):
    testing = np.eye(WORDS, dtype=bool)
    return Design(
        features=rng.standard_normal((WORDS, FEATURES)) * np.linspace(1, 9, FEATURES) + 2,
        unpenalized=order_regressors(WORDS, 3),
        testing=testing,
        training=~testing,
        standardize="all_words",
    )


@pytest.fixture
def targets(rng, design):
    weights = rng.standard_normal((FEATURES, TARGETS)) * 0.1
    noise = rng.standard_normal((WORDS, TARGETS))
    return design.features @ weights + noise + 7 + design.unpenalized[:, 1:2] * 4


def brute_force(design, features, targets, train, test, penalty):
    """Normal equations with a penalty on the features alone."""
    n_free = design.unpenalized.shape[1]
    both = np.hstack([design.unpenalized, features])
    penalties = np.diag([0.0] * n_free + [penalty] * features.shape[1])
    weights = np.linalg.solve(
        both[train].T @ both[train] + penalties, both[train].T @ targets[train]
    )
    return both[test] @ weights


def scaled(features, words=slice(None)):
    return (features - features[words].mean(axis=0)) / features[words].std(axis=0)


def mean_eigenvalue(features, unpenalized):
    """Of XX' over n, without the unpenalised part."""
    n_words, n_free = unpenalized.shape
    maker = np.eye(n_words) - unpenalized @ np.linalg.pinv(unpenalized)
    return np.trace(maker @ features @ features.T) / (n_words - n_free) / n_words


def fitted(design, targets):
    """The choice of each target for itself, and the path it was made from."""
    path = ridge.prepare(design)(targets)
    groups = np.arange(targets.shape[1])
    return choose(path, targets, design.testing, design.training, groups), path


def predictions(design, fit, targets):
    return baseline(design.unpenalized, design.testing, design.training) @ targets + fit.added


def test_order_regressors_are_orthogonal():
    terms = order_regressors(20, 6)
    products = terms.T @ terms
    np.testing.assert_allclose(products, np.diag([20] + [10] * 6), atol=1e-12)


def test_baseline_is_least_squares_per_fold(design, targets):
    found = baseline(design.unpenalized, design.testing, design.training) @ targets
    rest = np.arange(WORDS) != 5
    weights = np.linalg.lstsq(design.unpenalized[rest], targets[rest], rcond=None)[0]
    np.testing.assert_allclose(found[5], design.unpenalized[5] @ weights, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 30.0])
def test_leave_one_out_equals_refitting(design, targets, alpha):
    fit, _ = fitted(replace(design, alphas=(alpha,)), targets)
    found = predictions(design, fit, targets)
    features = scaled(design.features)
    for word in range(WORDS):
        train = np.delete(np.arange(WORDS), word)
        oracle = brute_force(design, features, targets, train, [word], alpha * len(train))
        np.testing.assert_allclose(found[word], oracle[0], rtol=1e-10)
    assert np.linalg.norm(fit.added) > 1e-2
    assert (fit.n_nonzero == FEATURES).all()
    assert np.isinf(fit.alpha_max).all()


def test_closed_form_equals_the_refitting_route(design, targets, monkeypatch):
    grid = tuple(ridge.prepare(design)(targets).alpha[:, 0])
    design = replace(design, alphas=grid)
    closed, path = fitted(design, targets)
    monkeypatch.setattr(ridge, "leaves_one_out", lambda *_: False)
    refitted, again = fitted(design, targets)
    np.testing.assert_allclose(path.errors, again.errors, rtol=1e-10)
    np.testing.assert_allclose(path.added, again.added, atol=1e-10)
    np.testing.assert_allclose(closed.added, refitted.added, atol=1e-10)
    np.testing.assert_allclose(closed.alpha, refitted.alpha)
    assert len(np.unique(closed.alpha)) > 1


def test_alpha_is_on_the_scale_of_scikit_learn(design, targets):
    plain = replace(design, unpenalized=np.ones((WORDS, 1)), standardize="fold", alphas=(0.7,))
    found = predictions(plain, fitted(plain, targets)[0], targets)
    train = np.delete(np.arange(WORDS), 3)
    features = scaled(design.features, train)
    oracle = Ridge(alpha=0.7 * len(train)).fit(features[train], targets[train])
    np.testing.assert_allclose(found[3], oracle.predict(features[[3]])[0], rtol=1e-10)


@pytest.mark.parametrize("standardize", ["all_words", False, "fold"])
def test_nested_choice_equals_brute_force(design, targets, standardize):
    design = replace(design, standardize=standardize)
    fit, _ = fitted(design, targets)
    found = predictions(design, fit, targets)
    for word in (0, 7, WORDS - 1):
        train = np.delete(np.arange(WORDS), word)
        features = {
            "all_words": scaled(design.features),
            "fold": scaled(design.features, train),
            False: design.features,
        }[standardize]
        # The grid, too, knows nothing of the held-out word unless one serves all folds.
        known = train if standardize == "fold" else np.arange(WORDS)
        grid = mean_eigenvalue(features[known], design.unpenalized[known]) * ridge.MULTIPLES
        errors = np.array(
            [
                sum(
                    (
                        targets[j]
                        - brute_force(
                            design, features, targets, train[train != j], [j], alpha * len(train)
                        )[0]
                    )
                    ** 2
                    for j in train
                )
                for alpha in grid
            ]
        )
        assert grid[0] > grid[errors.argmin(axis=0)].max() > grid[-1]
        best = grid[errors.argmin(axis=0)]
        np.testing.assert_allclose(fit.alpha[word], best, rtol=1e-12)
        for target, alpha in enumerate(best):
            oracle = brute_force(design, features, targets, train, [word], alpha * len(train))
            assert found[word, target] == pytest.approx(oracle[0, target], rel=1e-10)


def inner_errors(design, features, targets, train, alpha, inner):
    """Of contiguous inner folds, every one refitted on features scaled beforehand."""
    errors = 0
    for test in np.array_split(train, inner or len(train)):
        rest = np.setdiff1d(train, test)
        found = brute_force(design, features, targets, rest, test, alpha * len(train))
        errors = errors + ((targets[test] - found) ** 2).sum(axis=0)
    return errors


@pytest.mark.parametrize("n_features", [3, FEATURES])
@pytest.mark.parametrize("inner", [None, 4])
@pytest.mark.parametrize("standardize", ["all_words", "fold", False])
@pytest.mark.parametrize("n_folds", [WORDS, 6])
def test_inner_errors_equal_brute_force(design, targets, n_features, inner, standardize, n_folds):
    testing = np.repeat(np.eye(n_folds, dtype=bool), WORDS // n_folds, axis=1)
    design = replace(
        design,
        features=design.features[:, :n_features],
        testing=testing,
        training=~testing,
        standardize=standardize,
        inner=inner,
        alphas=(3.0, 0.1),
    )
    path = ridge.prepare(design)(targets)
    for fold in (0, 2, n_folds - 1):
        train = np.flatnonzero(design.training[fold])
        words = {"all_words": slice(None), "fold": train}.get(standardize)
        features = design.features if words is None else scaled(design.features, words)
        for index, alpha in enumerate(design.alphas):
            oracle = inner_errors(design, features, targets, train, alpha, inner)
            np.testing.assert_allclose(path.errors[index, fold], oracle, rtol=1e-9)
            test = np.flatnonzero(testing[fold])
            found = brute_force(design, features, targets, train, test, alpha * len(train))
            without = brute_force(design, 0 * features, targets, train, test, 1.0)
            np.testing.assert_allclose(path.added[index, test], found - without, atol=1e-10)
    assert (path.errors[0] != path.errors[1]).all()


@pytest.mark.parametrize("standardize", ["all_words", "fold"])
def test_held_out_value_does_not_reach_its_own_fold(design, targets, standardize):
    design = replace(design, standardize=standardize)
    before, _ = fitted(design, targets)
    changed = targets.copy()
    changed[4] += 1000
    after, _ = fitted(design, changed)
    np.testing.assert_allclose(after.alpha[4], before.alpha[4])
    np.testing.assert_allclose(after.added[4], before.added[4], atol=1e-9)
    assert np.abs(after.added - before.added).max() > 1


def test_constant_features_add_nothing(design, targets):
    constant = replace(design, features=np.full_like(design.features, 3.3))
    fit = ridge.prepare(constant)(targets)
    np.testing.assert_allclose(fit.added, 0, atol=1e-12)
    assert (fit.n_nonzero == 0).all()


@pytest.mark.parametrize("n_features", [2, 9, FEATURES])
@pytest.mark.parametrize("n_folds", [WORDS, 6])
def test_least_squares_is_the_limit(design, targets, n_features, n_folds):
    """With fewer features than words; minimum norm with more."""
    testing = np.repeat(np.eye(n_folds, dtype=bool), WORDS // n_folds, axis=1)
    design = replace(
        design,
        features=design.features[:, :n_features],
        testing=testing,
        training=~testing,
        alphas=(1e-11,),
        standardize="fold",
    )
    path = ridge.prepare(design)(targets)
    for fold in (0, 3):
        train, test = ~testing[fold], testing[fold]
        free, features = design.unpenalized, scaled(design.features, train)
        own = np.linalg.lstsq(free[train], np.hstack([features, targets])[train], rcond=None)[0]
        left = np.hstack([features, targets]) - free @ own
        x, y = left[:, :n_features], left[:, n_features:]
        weights = np.linalg.lstsq(x[train], y[train], rcond=None)[0]
        np.testing.assert_allclose(path.added[0, test], x[test] @ weights, rtol=1e-6, atol=1e-8)


def test_many_words_are_not_kept_and_make_no_difference(design, targets, monkeypatch):
    kept = ridge.prepare(design)(targets)
    monkeypatch.setattr(ridge, "KEPT_WORDS", 0)
    made_anew = ridge.prepare(design)(targets)
    np.testing.assert_array_equal(made_anew.errors, kept.errors)
    np.testing.assert_array_equal(made_anew.added, kept.added)


def test_null_alpha_is_the_mean_eigenvalue(design):
    mean = mean_eigenvalue(scaled(design.features), design.unpenalized)
    assert ridge.null_alpha(design) == pytest.approx(mean)


def test_leaves_one_out_tells_folds_apart(design):
    assert leaves_one_out(design.testing, design.training)
    gap = design.training.copy()
    gap[3, 4] = False
    assert not leaves_one_out(design.testing, gap)
    assert not leaves_one_out(
        *(mask.reshape(12, 2, WORDS).any(axis=1) for mask in (design.testing, design.training))
    )
