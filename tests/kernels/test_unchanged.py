"""Which features may change in some fold, and the products and thresholds before any fit."""

from __future__ import annotations

import numpy as np
import pytest

from hgcube.kernels import elastic_net, thresholds, unchanged
from hgcube.kernels.active_sets import Active, Problem, fill_gradient, new_work
from hgcube.kernels.descent import solve
from hgcube.kernels.designs import Design
from hgcube.kernels.order import order_regressors
from hgcube.kernels.solution import describe, times

N_WORDS, N_FEATURES = 40, 60


def study_of(rng, **options):
    features = rng.standard_normal((N_WORDS, N_FEATURES)) * np.geomspace(1.2, 0.5, N_FEATURES)
    testing = np.eye(N_WORDS, dtype=bool)
    stated = {"standardize": False, "alphas": (0.5,), **options}
    return elastic_net._study(
        Design(
            features=features,
            unpenalized=order_regressors(N_WORDS, 2),
            testing=testing,
            training=~testing,
            **stated,
        )
    )


def prepared(study, targets):
    residuals, products = np.empty((4, N_WORDS)), np.empty((4, N_FEATURES))
    thresholds.residuals_of(study.words, targets, 0, residuals)
    thresholds.fill_products(study.words.features, residuals, products)
    return residuals, products


class Fitted:
    """All words' fit of one target, and what the folds would be without changes."""

    def __init__(self, rng, part):
        study = study_of(rng)
        target = rng.standard_normal((1, N_WORDS)) + 0.3 * study.words.features[:, 1]
        residuals, products = prepared(study, target)
        words, everything = study.words, study.sets.removed[0, :0]
        problem = Problem(words.gram, words.features, residuals[0], products[0])
        work = new_work(N_WORDS, N_FEATURES)
        active = Active(np.empty(N_FEATURES, np.int64), *np.empty((2, N_FEATURES)))
        subset = unchanged_subset(study, everything)
        l1, self.l2 = part * np.abs(products[0]).max(), 0.3
        count, met = solve(problem, subset, l1, self.l2, active, np.int64(0), work)
        assert met
        fill_gradient(problem, subset, active, count, work)
        self.l1s = l1 * (1 + 0.01 * rng.standard_normal(N_WORDS))
        self.held = study.held
        self.solution = describe(problem, study.held, active, count, work.gradient, self.l2)
        folds = unchanged.Folds(study.held, self.l1s, l1, self.l2)
        room = unchanged.new_screening(N_WORDS, N_FEATURES)
        beyond = np.zeros(64, bool)
        self.out = unchanged.LeftOut(
            np.empty(N_WORDS), np.empty(N_WORDS, np.int64), np.empty(N_WORDS, bool)
        )
        count = unchanged.fit_unchanged(self.solution, residuals[0], folds, room, beyond, self.out)
        self.near, self.beyond = room.near[:count].copy(), np.flatnonzero(beyond)
        self.problem, self.shift = problem, self.l1s - l1

    def gradients(self):
        """Plainly, of every fold and feature (fold, feature), and the weights (fold, active)."""
        problem, members = self.problem, self.solution.members
        own = problem.features[:, members]
        system = own.T @ own + self.l2 * np.eye(len(members))
        weights, slopes = [], []
        for f, word in enumerate(self.held.words):
            c, row = self.held.corrections[f], problem.features[word]
            right = own.T @ problem.target - self.l1s[f] * self.solution.signs
            left = system - c * np.outer(row[members], row[members])
            fitted = np.linalg.solve(left, right - c * row[members] * problem.target[word])
            g = c * (problem.target[word] - row[members] @ fitted)
            weights.append(fitted)
            slopes.append(problem.products - problem.gram[:, members] @ fitted - g * row)
        return np.array(slopes), np.array(weights)


def unchanged_subset(study, removed):
    from hgcube.kernels.active_sets import Subset

    return Subset(removed, study.sets.inverse[0, :0, :0], study.scaling.whole)


@pytest.mark.parametrize("part", [0.95, 0.8, 0.6])
def test_every_feature_that_a_fold_could_change_is_near(rng, part):
    fit = Fitted(rng, part)
    slopes, weights = fit.gradients()
    outside = np.setdiff1d(np.arange(N_FEATURES), fit.solution.members)
    reached = (np.abs(slopes) > fit.l1s[:, None]).any(axis=0)
    assert set(outside[reached[outside]]) <= set(fit.near)
    assert not set(fit.near) & set(fit.solution.members)
    assert 0 < len(fit.near) < len(outside)  # the bound leaves some out
    turned = (weights * fit.solution.signs <= 0).any(axis=0)
    expected = {*outside[reached[outside]], *fit.solution.members[turned]}
    assert set(fit.beyond) == expected


def test_folds_that_are_met_are_those_that_meet_all_conditions(rng):
    found = []
    for part in (0.95, 0.8, 0.6):
        fit = Fitted(rng, part)
        slopes, weights = fit.gradients()
        members = fit.solution.members
        slopes[:, members] = 0.0
        fits = (weights * fit.solution.signs > 0).all(axis=1)
        fits &= (np.abs(slopes) <= fit.l1s[:, None]).all(axis=1)
        np.testing.assert_array_equal(fit.out.met, fits)
        found += fits.tolist()
    assert 0.05 < np.mean(found) < 0.95


def test_products_of_targets_do_not_depend_on_how_many_there_are(rng):
    study = study_of(rng)
    targets = rng.standard_normal((3, N_WORDS)) + 2
    residuals, products = prepared(study, targets)
    maker = np.eye(N_WORDS) - study.words.unpenalized @ study.words.projector
    np.testing.assert_allclose(residuals[:3], targets @ maker.T, atol=1e-12)
    assert not residuals[3].any()
    np.testing.assert_allclose(products, residuals @ study.words.features, atol=1e-11)
    for t in range(3):
        np.testing.assert_array_equal(prepared(study, targets[t:])[1][0], products[t])


@pytest.mark.parametrize("inner", [0, 3, 12, 13, 40])
def test_small_and_large_products_are_numpy_s(rng, inner):
    left, right = rng.standard_normal((7, inner)), rng.standard_normal((inner, 5))
    out = np.full((7, 5), np.nan)
    times(left, right, out)
    np.testing.assert_allclose(out, left @ right, atol=1e-13)
