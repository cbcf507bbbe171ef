from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from hgcube.kernels import scores

WORDS, ELECTRODES = 30, 8


@pytest.fixture
def observed(rng):
    return 5 + rng.standard_normal((ELECTRODES, WORDS)) * 3


@pytest.fixture
def mean_word(observed):
    return (observed.sum(axis=1, keepdims=True) - observed) / (WORDS - 1)


@pytest.fixture
def predicted(rng, observed, mean_word):
    return mean_word + 0.3 * (observed - mean_word) + rng.standard_normal(observed.shape)


def test_skill_and_its_second_form(observed, predicted, mean_word):
    d, e = predicted - mean_word, observed - mean_word
    oracle = [
        1 - sum((y - p) ** 2) / sum((y - m) ** 2)
        for y, p, m in zip(observed, predicted, mean_word, strict=True)
    ]
    second = (2 * d * e - d**2).sum(axis=1) / (e**2).sum(axis=1)
    found = scores.skill(observed, predicted, mean_word)
    np.testing.assert_allclose(found, oracle, rtol=1e-12)
    np.testing.assert_allclose(found, second, rtol=1e-12)
    assert np.ptp(found) > 0.1


def test_fold_corrected_r(observed, predicted, mean_word):
    oracle = [
        d @ e / np.sqrt(d @ d * (e @ e))
        for d, e in zip(predicted - mean_word, observed - mean_word, strict=True)
    ]
    found = scores.r_across_words(observed, predicted, mean_word)
    np.testing.assert_allclose(found, oracle, rtol=1e-12)
    assert (np.abs(found) < 1).all()


def test_plain_r_of_the_mean_word_is_minus_one(observed, mean_word):
    np.testing.assert_allclose(scores.pearson(observed, mean_word), -1, rtol=1e-12)
    assert np.isnan(scores.r_across_words(observed, mean_word, mean_word)).all()
    assert (scores.skill(observed, mean_word, mean_word) == 0).all()


def test_across_electrodes(observed, predicted, mean_word):
    r = [np.corrcoef(y, p)[0, 1] for y, p in zip(observed.T, predicted.T, strict=True)]
    r2 = [r2_score(y, p) for y, p in zip(observed.T, predicted.T, strict=True)]
    centered = [
        np.corrcoef(e, d)[0, 1]
        for e, d in zip((observed - mean_word).T, (predicted - mean_word).T, strict=True)
    ]
    np.testing.assert_allclose(scores.pearson(observed.T, predicted.T), r, rtol=1e-10)
    np.testing.assert_allclose(scores.r2_across_electrodes(observed.T, predicted.T), r2, rtol=1e-10)
    found = scores.r_across_electrodes_centered(observed.T, predicted.T, mean_word.T)
    np.testing.assert_allclose(found, centered, rtol=1e-10)
    itself = scores.r_across_electrodes_centered(observed.T, mean_word.T, mean_word.T)
    assert np.isnan(itself).all()
    pooled = scores.pearson(observed, predicted, axes=(-2, -1))
    assert pooled == pytest.approx(np.corrcoef(observed.ravel(), predicted.ravel())[0, 1])


def test_missing_words_and_electrodes_are_left_out(observed, predicted, mean_word):
    holed = predicted.copy()
    holed[:, 4] = np.nan
    rest = np.delete(np.arange(WORDS), 4)
    for kernel in (scores.skill, scores.r_across_words):
        np.testing.assert_allclose(
            kernel(observed, holed, mean_word),
            kernel(observed[:, rest], predicted[:, rest], mean_word[:, rest]),
        )
    np.testing.assert_allclose(
        scores.pearson(observed, holed), scores.pearson(observed[:, rest], predicted[:, rest])
    )
    assert np.isnan(scores.r2_across_electrodes(observed.T, holed.T)[4])


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scores_do_not_depend_on_the_unit(observed, predicted, mean_word, scale):
    three = (observed, predicted, mean_word)
    scaled = [scale * cube for cube in three]
    for kernel in (scores.skill, scores.r_across_words, scores.r_across_electrodes_centered):
        np.testing.assert_allclose(kernel(*scaled), kernel(*three), rtol=1e-9)


def test_what_does_not_vary_is_nan():
    constant = np.full((2, WORDS), 0.1)
    noise = np.linspace(0, 1, WORDS) + constant
    assert np.isnan(scores.pearson(constant, noise)).all()
    assert np.isnan(scores.skill(constant, noise, constant * (1 + 1e-16))).all()
    assert np.isnan(scores.r_across_words(constant, noise, constant * (1 + 1e-16))).all()
