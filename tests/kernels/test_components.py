from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA

from hgcube.kernels import ridge
from hgcube.kernels.components import principal_scores
from hgcube.kernels.designs import Design, inner_splits, split, splits, z_scored
from hgcube.kernels.order import order_regressors

WORDS, FEATURES = 20, 30


@pytest.fixture(params=[FEATURES, 6], ids=["wide", "tall"])
def features(request, rng):
    mixing = rng.standard_normal((request.param, request.param))
    return rng.standard_normal((WORDS, request.param)) @ mixing + 4


@pytest.mark.parametrize("components", [1, 4, 0.5, 0.9, 1.0, 1000])
def test_scores_are_scikit_learn_s_on_one_scale(features, components):
    train, test = np.arange(3, WORDS), np.arange(3)
    # Seventeen centred words span sixteen axes; scikit-learn, which takes no 1.0, keeps one more.
    stated = None if isinstance(components, float) and components == 1 else components
    if isinstance(components, int):
        stated = min(components, 17, features.shape[1])
    oracle = PCA(stated, svd_solver="full").fit(features[train])
    found = principal_scores(features, features[train], components)
    expected = oracle.transform(features)[:, : min(16, features.shape[1])]
    expected = expected / expected[train, 0].std()
    assert found.shape == expected.shape
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-10)
    assert found[train, 0].std() == pytest.approx(1)
    assert np.abs(found[test]).max() > 0.1


def test_scores_keep_the_words_geometry(features):
    """All of them: distances between words are those of the features, up to the one scale."""
    found = principal_scores(features, features, 1.0)

    def distances(values):
        return ((values[:, None] - values[None]) ** 2).sum(axis=-1)

    ratio = (
        distances(found)[np.triu_indices(WORDS, 1)] / distances(features)[np.triu_indices(WORDS, 1)]
    )
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


def test_words_that_do_not_vary_have_no_component(features):
    assert principal_scores(features, np.ones_like(features), 3).shape == (WORDS, 0)
    twice = np.hstack([features[:, :1]] * 4)
    assert principal_scores(twice, twice, 3).shape == (WORDS, 1)


@pytest.fixture
def design(features):
    testing = np.eye(WORDS, dtype=bool)
    return Design(
        features=features,
        unpenalized=order_regressors(WORDS, 2),
        testing=testing,
        training=~testing,
        standardize="fold",
        components=3,
    )


def test_scaled_first_then_components_then_order_taken_out(design):
    train, test = np.arange(2, WORDS), np.array([0, 1])
    part = split(design.features, design.unpenalized, train, test, standardize=True, components=3)
    scores = principal_scores(
        z_scored(design.features, design.features[train]),
        z_scored(design.features[train], design.features[train]),
        3,
    )
    slopes = np.linalg.lstsq(design.unpenalized[train], scores[train], rcond=None)[0]
    left = scores - design.unpenalized @ slopes
    np.testing.assert_allclose(part.features, left[train], atol=1e-12)
    np.testing.assert_allclose(part.test_features, left[test], atol=1e-12)
    # Never z-scored after: smaller components stay smaller.
    assert part.features.std(axis=0).min() < 0.9 * part.features.std(axis=0).max()


@pytest.mark.parametrize("standardize", ["fold", False])
def test_held_out_words_are_never_seen(design, standardize):
    """Its vector changes its own scores only, in outer folds and in inner ones."""
    design = replace(design, standardize=standardize, inner=4)
    changed = design.features.copy()
    changed[7] *= -3
    moved = replace(design, features=changed)
    (outer, before), (_, after) = (list(splits(d))[7] for d in (design, moved))
    assert outer == 7
    np.testing.assert_array_equal(after.features, before.features)
    assert np.abs(after.test_features - before.test_features).max() > 0.1
    _, fold = next(splits(design))
    for first, second in zip(inner_splits(design, fold), inner_splits(moved, fold), strict=True):
        same = np.array_equal(first.features, second.features)
        assert same == (7 in first.test)
    targets = np.random.default_rng(0).standard_normal((WORDS, 2))
    first, second = (ridge.prepare(d)(targets) for d in (design, moved))
    np.testing.assert_allclose(second.errors[:, 7], first.errors[:, 7], rtol=1e-12)
    np.testing.assert_array_equal(second.alpha[:, 7], first.alpha[:, 7])
    assert np.abs(second.added[:, 7] - first.added[:, 7]).max() > 1e-3


def test_inner_folds_have_components_of_their_own(design, rng):
    """Ridge's inner errors, every inner fold fitted from raw features."""
    design = replace(design, inner=4, alphas=(2.0, 0.05), unpenalized=np.ones((WORDS, 1)))
    targets = rng.standard_normal((WORDS, 2)) + design.features[:, :2]
    path = ridge.prepare(design)(targets)
    train = np.delete(np.arange(WORDS), 5)
    for index, alpha in enumerate(design.alphas):
        errors = np.zeros(2)
        for test in np.array_split(train, 4):
            rest = np.setdiff1d(train, test)
            scaled = z_scored(design.features, design.features[rest])
            axes = PCA(3).fit(scaled[rest])
            scores = axes.transform(scaled) / np.sqrt(axes.explained_variance_[0])
            scores *= np.sqrt(len(rest) / (len(rest) - 1))
            gram = scores[rest].T @ scores[rest] + alpha * len(rest) * np.eye(3)
            mean = targets[rest].mean(axis=0)
            slopes = np.linalg.solve(gram, scores[rest].T @ (targets[rest] - mean))
            errors += ((targets[test] - mean - scores[test] @ slopes) ** 2).sum(axis=0)
        np.testing.assert_allclose(path.errors[index, 5], errors, rtol=1e-9)
    assert (path.n_nonzero == 3).all()
