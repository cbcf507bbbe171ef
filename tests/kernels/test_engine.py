"""Single fits of the elastic-net engine: optimality, ties, awkward features, and its fallback."""

from __future__ import annotations

import numpy as np
import pytest

from hgcube.kernels import active_sets, descent, signs
from hgcube.kernels.order import order_regressors


class Case:
    """One target, its words and features, and what its residual maker makes of them."""

    def __init__(self, features, target, *, terms=2, scale=None):
        n_words, self.n_features = features.shape
        self.features, self.target = features, target
        self.unpenalized = order_regressors(n_words, terms)
        self.scale = np.ones(self.n_features) if scale is None else scale
        self.maker = np.eye(n_words) - self.unpenalized @ np.linalg.pinv(self.unpenalized)
        residual, y = self.maker @ features, self.maker @ target
        self.problem = active_sets.Problem(residual.T @ residual, residual, y, residual.T @ y)

    def subset(self, removed):
        removed = np.asarray(removed, np.int64)
        inverse = np.linalg.inv(self.maker[np.ix_(removed, removed)])
        return active_sets.Subset(removed, inverse, self.scale)

    def started(self, weights):
        active = active_sets.new_active(self.n_features)
        members = np.flatnonzero(weights)
        count = members.size
        active.members[:count] = members
        active.signs[:count] = np.sign(weights[members])
        active.weights[:count] = weights[members]
        return active, count

    def fit(self, removed, l1, l2, *, start=None, by=descent.solve):
        """Weights (feature,) and whether the engine says that they are right."""
        active, count = self.started(np.zeros(self.n_features) if start is None else start)
        work = active_sets.new_work(*self.features.shape)
        counted = (count,) if by is descent.solve else ()
        count, met = by(self.problem, self.subset(removed), l1, l2, active, *counted, work)
        weights = np.zeros(self.n_features)
        weights[active.members[:count]] = active.weights[:count]
        assert np.count_nonzero(weights) == count
        return weights, met

    def slope(self, removed, l2, weights):
        """What pulls at each weight (feature,), from the words that are kept alone."""
        kept = np.delete(np.arange(len(self.target)), removed)
        free, used = self.unpenalized[kept], self.features[kept]
        both = np.column_stack([used, self.target[kept]])
        both = both - free @ np.linalg.lstsq(free, both, rcond=None)[0]
        used, left = both[:, :-1], both[:, -1] - both[:, :-1] @ weights
        return used.T @ left - l2 * self.scale**2 * weights

    def violation(self, removed, l1, l2, weights):
        """Worst violation of an optimality condition in parts of l1."""
        slope = self.slope(removed, l2, weights) / self.scale
        off = np.where(weights, np.abs(slope - l1 * np.sign(weights)), np.abs(slope) - l1)
        return off.max() / l1

    def largest(self, removed):
        """The smallest l1 without a weight."""
        return np.abs(self.slope(removed, 0.0, np.zeros(self.n_features)) / self.scale).max()


def case_of(rng, n_words, n_features, **options):
    features = rng.standard_normal((n_words, n_features)) @ (
        np.eye(n_features) + 0.5 * rng.standard_normal((n_features, n_features)) / n_features**0.5
    )
    target = features[:, :3] @ np.array([1.0, -0.7, 0.4]) + rng.standard_normal(n_words)
    return Case(features + rng.uniform(-2, 2, n_features), target + 3, **options)


def searched(problem, subset, l1, l2, active, work):
    """Feature-sign search from no weight."""
    weights = np.zeros(len(problem.products))
    return signs.search(problem, subset, l1, l2, weights, active, work)


REMOVED = [[], [4], [0, 9], [1, 2, 3, 7, 11, 12, 20]]
SHAPES = {"tall": (40, 8), "wide": (25, 80)}


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.fixture(params=[0.0, 0.7], ids=["l1 alone", "with l2"])
def l2(request):
    return request.param


@pytest.mark.parametrize("scaled", [False, True], ids=["as given", "scaled"])
def test_a_fit_is_optimal_from_wherever_it_starts(rng, shape, l2, scaled):
    n_words, n_features = shape
    wide = n_features > n_words
    parts = (0.999, 0.5, 0.1, 0.02, 1e-3)
    scale = np.geomspace(0.3, 3.0, n_features) if scaled else None
    case, sizes = case_of(rng, *shape, scale=scale), []
    for removed in REMOVED:
        largest = case.largest(removed)
        assert not case.fit(removed, largest * (1 + 1e-12), l2)[0].any()
        for part in parts:
            weights, met = case.fit(removed, part * largest, l2)
            assert met
            assert case.violation(removed, part * largest, l2, weights) <= 1e-9
            wrong = np.where(rng.random(n_features) < 0.5, -np.sign(weights) + (weights == 0), 0)
            for start in (wrong, weights):
                again, met = case.fit(removed, part * largest, l2, start=start)
                assert met
                np.testing.assert_allclose(again, weights, atol=1e-10 * np.abs(weights).max())
            sizes.append(np.count_nonzero(weights))
    assert min(sizes) == 1
    assert {2, 3, 4, 5} & set(sizes)
    if wide:
        # Alone, l1 takes in no more features than there are words beside the regressors.
        assert max(sizes) >= (n_words if l2 else n_words - 3 - max(map(len, REMOVED)))
    else:
        assert max(sizes) == n_features


def test_fewer_words_change_the_fit(rng):
    case = case_of(rng, 40, 8)
    whole, fewer = (case.fit(removed, 2.0, 0.7)[0] for removed in ([], [4]))
    assert np.abs(whole - fewer).max() > 1e-3
    assert case.violation([4], 2.0, 0.7, whole) > 1e-3


@pytest.mark.parametrize("by", [descent._by_descent, searched], ids=["descent", "signs"])
def test_each_fallback_alone_finds_the_same(rng, shape, l2, by):
    case = case_of(rng, *shape, scale=np.geomspace(0.3, 3.0, shape[1]))
    for removed in ([], [0, 9]):
        for part in (0.5, 0.1, 0.02):
            l1 = part * case.largest(removed)
            weights, met = case.fit(removed, l1, l2, by=by)
            assert met
            assert case.violation(removed, l1, l2, weights) <= 1e-9
            expected, _ = case.fit(removed, l1, l2)
            np.testing.assert_allclose(weights, expected, atol=1e-10 * np.abs(weights).max())
            assert weights.any()


@pytest.mark.parametrize("awkward", ["collinear", "opposite", "indicators"])
def test_search_solves_features_that_depend_on_each_other(rng, awkward):
    """Without l2, so that the active features' equations are singular."""
    case = Case(AWKWARD[awkward](case_of(rng, 25, 6).features), rng.standard_normal(25))
    for removed in ([], [0, 9]):
        for part in (0.5, 0.05, 1e-3):
            weights, met = case.fit(removed, part * case.largest(removed), 0.0, by=searched)
            assert met
            assert case.violation(removed, part * case.largest(removed), 0.0, weights) <= 1e-9
            assert weights.any()


def test_violations_are_those_of_plain_numpy(rng, shape, l2):
    case = case_of(rng, *shape, scale=np.geomspace(0.3, 3.0, shape[1]))
    removed, work = [0, 9], active_sets.new_work(*shape)
    l1, subset = 0.1 * case.largest(removed), case.subset([0, 9])
    solution, _ = case.fit(removed, l1, l2)
    entering = np.where(solution, 0, 0.01 * (np.arange(shape[1]) == np.argmin(solution != 0)))
    leaving = np.where(np.arange(shape[1]) == np.argmax(solution != 0), -solution, 0)
    for change in (0.01 * solution, entering, leaving):
        active, count = case.started(solution + change)
        active_sets.fill_gradient(case.problem, subset, active, count, work)
        found = descent.violation(subset, l1, l2, active, count, work.gradient)
        if change.any():
            assert found > 1e-3
        expected = case.violation(removed, l1, l2, solution + change)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_twin_features_share_their_weight_or_its_sum(rng, l2):
    plain = case_of(rng, 40, 6)
    twice = Case(np.repeat(plain.features, 2, axis=1), plain.target)
    for part in (0.5, 0.05, 1e-3):
        l1 = part * plain.largest([4])
        weights, met = twice.fit([4], l1, l2)
        assert met
        assert twice.violation([4], l1, l2, weights) <= 1e-9
        pairs = weights.reshape(-1, 2)
        if l2:
            np.testing.assert_allclose(pairs[:, 0], pairs[:, 1], atol=1e-10)
        # Two halves of a weight have half its square.
        alone, _ = plain.fit([4], l1, l2 / 2)
        np.testing.assert_allclose(pairs.sum(axis=1), alone, atol=1e-10)
        assert alone.any()


@pytest.mark.parametrize("l1", [4.0, np.nextafter(4.0, 0), np.nextafter(4.0, 9)])
def test_a_feature_at_its_threshold(l1, l2):
    """Columns of a Hadamard matrix: products are whole numbers, without rounding."""
    signs = np.array([[1]])
    for _ in range(3):
        signs = np.block([[signs, signs], [signs, -signs]])
    features = signs[:, 1:6].astype(float)
    case = Case(features, features @ np.array([1.0, 0.5, -0.5, 0.25, 0.0]), terms=0)
    np.testing.assert_allclose(case.problem.products, [8, 4, -4, 2, 0], atol=1e-14)
    for start in (np.zeros(5), np.array([1.0, 1, -1, 1, 1]), -np.ones(5)):
        weights, met = case.fit([], l1, l2, start=start)
        assert met
        np.testing.assert_allclose(weights, [(8 - l1) / (8 + l2), 0, 0, 0, 0], atol=1e-14)


AWKWARD = {
    "constant": lambda features: np.hstack([features, np.ones((len(features), 2))]),
    "zero": lambda features: np.hstack([features, np.zeros((len(features), 2))]),
    "collinear": lambda features: np.hstack([features, features[:, :3] + features[:, 3:]]),
    "opposite": lambda features: np.hstack([features, -features]),
    "indicators": lambda features: np.hstack([features, np.eye(len(features))]),
    "small": lambda features: np.hstack([features, 1e-9 * features[::-1]]),
}


@pytest.mark.parametrize("awkward", AWKWARD)
def test_awkward_features_have_a_fit_with_unique_predictions(rng, awkward, l2):
    """Indicators do not vary in the words that are kept once theirs is left out."""
    plain = case_of(rng, 25, 6)
    case = Case(AWKWARD[awkward](plain.features), plain.target)
    for removed in REMOVED:
        for part in (0.5, 0.05, 1e-3):
            l1, found = part * case.largest(removed), []
            for start in (np.zeros(case.n_features), np.ones(case.n_features)):
                weights, met = case.fit(removed, l1, l2, start=start)
                assert met
                assert case.violation(removed, l1, l2, weights) <= 1e-9
                found.append(np.delete(case.features, removed, axis=0) @ weights)
            np.testing.assert_allclose(*found, atol=1e-9)
            assert np.ptp(found[0]) > 1e-3


def test_a_target_of_zeros_has_no_weight(rng, shape, l2):
    case = case_of(rng, *shape)
    zeros = Case(case.features, np.zeros(shape[0]))
    for start in (None, np.ones(shape[1])):
        weights, met = zeros.fit([0, 9], 1e-9, l2, start=start)
        assert met
        assert not weights.any()
