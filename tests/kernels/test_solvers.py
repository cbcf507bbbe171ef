"""What every solver of the registry holds to."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hgcube.kernels import sklearn_net
from hgcube.kernels.choice import choose
from hgcube.kernels.coefficients import coefficients, fitted_to_all
from hgcube.kernels.designs import (
    Design,
    penalties,
    scaled_on_all_words,
    splits,
    z_scored,
)
from hgcube.kernels.fitting import fit_targets
from hgcube.kernels.order import order_regressors
from hgcube.kernels.plan import Plan
from hgcube.kernels.solvers import SOLVERS

WORDS, TARGETS = 15, 3
OWN = np.arange(TARGETS)
SPARSE = [name for name, solver in SOLVERS.items() if solver.sparse]


def folds(kind, n_words=WORDS):
    """Testing and training (fold, word)."""
    number = {
        "words": np.arange(n_words),
        "k-fold": np.arange(n_words) * 5 // n_words,
        "grouped": np.resize([0, 1, 1, 2, 0, 2, 2], n_words),
    }.get(kind, np.arange(n_words) * 6 // n_words)
    testing = number == np.arange(number.max() + 1)[:, None]
    training = ~testing
    if kind == "blocked":  # a gap of one word on both sides
        training &= ~np.roll(testing, 1, axis=1) & ~np.roll(testing, -1, axis=1)
    return testing, training


FOLDS = ["words", "k-fold", "grouped", "blocked"]


@pytest.fixture(params=list(SOLVERS))
def solver(request):
    return SOLVERS[request.param]


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """Solve to rounding, so that the solver that iterates can be told from a wrong one."""
    monkeypatch.setattr(sklearn_net, "TOLERANCE", 1e-14)


SETTINGS = [
    ("fold", "words"),
    ("all_words", "words"),
    (False, "words"),
    ("fold", "grouped"),
    ("all_words", "blocked"),
    (False, "k-fold"),
]


@pytest.fixture(params=SETTINGS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def setting(request):
    return dict(zip(("standardize", "kind"), request.param, strict=True))


@pytest.fixture
def features(rng):
    return rng.standard_normal((WORDS, 20)) * np.linspace(0.5, 3, 20) + 2


@pytest.fixture
def targets(rng, features):
    weights = rng.standard_normal((2, TARGETS)) * 2
    noise = rng.standard_normal((WORDS, TARGETS))
    return (features[:, :2] @ weights + noise) * np.array([1, 5, 0.3]) + 30


def design_of(features, *, kind="words", **options):
    testing, training = folds(kind, len(features))
    stated = {
        "unpenalized": np.ones((len(features), 1)),
        "standardize": "fold",
        "alphas": (1.0, 0.3, 0.05),
        "inner": 4,
        **options,
    }
    return Design(features=features, testing=testing, training=training, **stated)


def fitted(solver, design, targets):
    path = solver.prepare(design)(targets)
    return path, choose(path, targets, design.testing, design.training, OWN)


def assert_same(found, expected, *, rtol=1e-7, of_scale=1e-7):
    """Compare paths; rounding of what is added is measured by the largest of each target."""
    for name in ("alpha", "l1_ratio", "n_nonzero", "l1_max"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol)
    scale = np.abs(expected.added).max(axis=(0, 1))
    assert (np.abs(found.added - expected.added) <= of_scale * scale).all()
    np.testing.assert_allclose(found.errors, expected.errors, rtol=rtol)


@pytest.mark.parametrize("kind", FOLDS)
@pytest.mark.parametrize("alphas", [None, (0.5, 0.1), (0.1,)])
def test_a_path_holds_all_candidates(solver, features, targets, kind, alphas):
    design = design_of(features, kind=kind, alphas=alphas, l1_ratios=(0.5,))
    path = solver.prepare(design)(targets)
    n_folds = len(design.testing)
    n_candidates = len(path.alpha)
    assert path.alpha.shape == (n_candidates, n_folds)
    assert (np.diff(path.alpha, axis=0) < 0).all()
    if alphas is not None:
        np.testing.assert_array_equal(path.alpha, np.repeat([alphas], n_folds, axis=0).T)
    assert path.added.shape == (n_candidates, WORDS, TARGETS)
    assert path.n_nonzero.shape == path.errors.shape == (n_candidates, n_folds, TARGETS)
    assert path.l1_max.shape == (n_folds, TARGETS)
    assert path.not_converged.tolist() == [0] * TARGETS
    assert (path.errors > 0).all() if n_candidates > 1 else (path.errors == 0).all()
    assert np.abs(path.added[-1]).max(axis=0).min() > 1e-5
    if solver.sparse:
        collapsed = (path.alpha * path.l1_ratio[:, None])[..., None] >= path.l1_max
        np.testing.assert_array_equal(path.n_nonzero == 0, collapsed)
        if alphas is None:
            np.testing.assert_allclose(path.alpha[:, 0] * 0.5, penalties(len(design.features)))
            assert (path.added[0] == 0).all()
    else:
        assert np.isinf(path.l1_max).all()


@pytest.mark.parametrize("components", [None, 0.8])
def test_held_out_words_have_no_part_in_their_fold(solver, features, targets, setting, components):
    design = design_of(features, **setting, components=components)
    before = solver.prepare(design)(targets)
    for fold in (0, len(design.testing) - 1):
        words = design.testing[fold]
        changed = targets.copy()
        changed[words] += np.linspace(1, 9, words.sum())[:, None] * targets.std(axis=0)
        after = solver.prepare(design)(changed)
        scale = np.abs(before.added).max(axis=(0, 1))
        leak = np.abs(after.added[:, words] - before.added[:, words])
        assert (leak <= 1e-10 * scale).all()
        np.testing.assert_allclose(after.errors[:, fold], before.errors[:, fold], rtol=1e-9)
        np.testing.assert_array_equal(after.n_nonzero[:, fold], before.n_nonzero[:, fold])
        np.testing.assert_allclose(after.l1_max[fold], before.l1_max[fold], rtol=1e-12)
        moved = np.abs(after.added[-1] - before.added[-1]).max(axis=0)
        assert (moved > 1e-2 * scale).all()


def test_order_of_words_folds_and_targets_does_not_matter(solver, features, targets, setting, rng):
    # Contiguous inner folds do depend on the order of the words: here every word is one.
    design = design_of(features, **setting, inner=None)
    path = solver.prepare(design)(targets)
    words, targets_order = rng.permutation(WORDS), np.array([2, 0, 1])
    fold_order = rng.permutation(len(design.testing))
    shuffled = replace(
        design,
        features=features[words],
        unpenalized=design.unpenalized[words],
        testing=design.testing[fold_order][:, words],
        training=design.training[fold_order][:, words],
    )
    moved = solver.prepare(shuffled)(targets[words][:, targets_order])
    back = replace(
        moved,
        added=moved.added[:, np.argsort(words)][:, :, np.argsort(targets_order)],
        **{
            name: getattr(moved, name)[..., np.argsort(fold_order), :][
                ..., np.argsort(targets_order)
            ]
            for name in ("n_nonzero", "errors", "l1_max")
        },
        alpha=moved.alpha[:, np.argsort(fold_order)],
    )
    assert_same(back, path)


def test_units_do_not_matter(solver, features, targets, setting, rng):
    """Of targets, where they are scaled or the penalty is of squares; of features, if scaled."""
    design = design_of(features, **setting)
    path = solver.prepare(design)(targets)
    if design.standardize or not solver.sparse:
        factors = np.array([1e-6, 3.0, 1e8])
        scaled = solver.prepare(design)(targets * factors + 7 * factors)
        unscaled = replace(scaled, added=scaled.added / factors, errors=scaled.errors / factors**2)
        assert_same(unscaled, path)
    if design.standardize:
        units = np.geomspace(1e-4, 1e5, features.shape[1])
        shifted = replace(design, features=features * units + rng.standard_normal(len(units)))
        assert_same(solver.prepare(shifted)(targets), path)


def test_features_that_do_not_vary_add_nothing(solver, features, targets, setting):
    constant = np.repeat([[0.1, 0.0, 1e6]], WORDS, axis=0)
    design = design_of(features, **setting)
    more = replace(design, features=np.hstack([constant, features]))
    assert_same(solver.prepare(more)(targets), solver.prepare(design)(targets))
    none = solver.prepare(replace(design, features=constant))(targets)
    np.testing.assert_allclose(none.added, 0, atol=1e-10)
    assert (none.n_nonzero == 0).all()
    assert not none.not_converged.any()


def unlike(kind, features):
    """Features that break what takes them for granted."""
    n_words = len(features)
    twice = features[:, :6]
    return {
        "duplicate": np.hstack([twice, twice, twice[:, ::-1]]),
        "opposite": np.hstack([twice, -twice]),
        "collinear": np.hstack([twice, twice @ np.ones((6, 4)), twice[:, :1] + twice[:, 1:3]]),
        "one": features[:, :1],
        "as_many_as_words": np.resize(features, (n_words, n_words)),
        "as_many_as_degrees": np.resize(features, (n_words, n_words - 2)),
        "indicators": np.eye(n_words)[:, : n_words // 2] + np.eye(n_words)[:, -(n_words // 2) :],
        "ties": np.sign(features),
        "varies_in_one_word": np.hstack([twice, np.eye(n_words)[:, :2]]),
        "many": np.resize(features, (n_words, 300)) + np.eye(n_words, 300),
    }[kind]


@pytest.mark.parametrize(
    "awkward",
    [
        "duplicate",
        "opposite",
        "collinear",
        "one",
        "as_many_as_words",
        "as_many_as_degrees",
        "indicators",
        "ties",
        "varies_in_one_word",
        "many",
    ],
)
def test_awkward_features_are_solved_exactly(solver, features, targets, setting, awkward):
    """Stationarity of the coefficients, which are unique as the penalty is strictly convex."""
    design = design_of(unlike(awkward, features), **setting, alphas=(0.1,))
    if setting["kind"] == "words":
        design = replace(design, unpenalized=order_regressors(WORDS, 2))
    path = solver.prepare(design)(targets)
    assert not path.not_converged.any()
    ratio = design.l1_ratios[0] if solver.sparse else 0.0
    for fold, part in itertools.islice(splits(design), 3):
        words = design.training[fold]
        weights = coefficients(
            solver, design, targets, words, np.full(TARGETS, 0.1), np.full(TARGETS, ratio)
        )
        assert_stationary(design, words, targets, weights, ratio)
        units = targets[words].std(axis=0) if design.standardize else 1.0
        predicted = part.test_features @ weights * units
        scale = np.abs(path.added).max() + targets.std()
        np.testing.assert_allclose(path.added[0, part.test], predicted, atol=1e-8 * scale)


def assert_stationary(design, words, targets, weights, ratio):
    """Hold weights (feature, target) to the conditions of the objective in the class `Design`."""
    features = scaled_on_all_words(design)
    if design.standardize == "fold":
        features = z_scored(features, features[words])
    y = targets[words] / (targets[words].std(axis=0) if design.standardize else 1.0)
    free, used = design.unpenalized[words], features[words]
    fit = used @ weights
    residuals = y - fit - free @ np.linalg.lstsq(free, y - fit, rcond=None)[0]
    l1, l2 = design.alphas[0] * ratio, design.alphas[0] * (1 - ratio)
    slope = used.T @ residuals / words.sum() - l2 * weights
    slope[np.ptp(used, axis=0) == 0] = 0  # an offset of the features is the intercept's
    scale = np.abs(used.T @ (y - y.mean(axis=0))).max() / words.sum()
    active = weights != 0
    np.testing.assert_allclose(slope[active], l1 * np.sign(weights[active]), atol=2e-7 * scale)
    assert (np.abs(slope[~active]) <= l1 + 2e-7 * scale).all()
    assert active.any()


def test_targets_that_do_not_vary(solver, features, targets, setting):
    constant = targets.copy()
    constant[:, 1] = 0.1
    design = design_of(features, **setting)
    path = solver.prepare(design)(constant)
    np.testing.assert_allclose(path.added[:, :, 1], 0, atol=1e-14)
    whole = solver.prepare(design)(targets)
    rest = [0, 2]
    np.testing.assert_allclose(path.added[..., rest], whole.added[..., rest], rtol=1e-9)
    if solver.sparse:
        assert (path.n_nonzero[:, :, 1] == 0).all()
        assert (path.l1_max[:, 1] == 0).all()


@pytest.mark.parametrize("terms", [0, 2])
@pytest.mark.parametrize("components", [None, 4, 0.7])
def test_unpenalized_regressors_are_free(solver, features, targets, terms, components, rng):
    free = order_regressors(WORDS, terms)
    design = design_of(features, unpenalized=free, standardize=False, components=components)
    path = solver.prepare(design)(targets)
    shifted = solver.prepare(design)(targets + free @ rng.standard_normal((terms + 1, TARGETS)))
    scale = np.abs(path.added).max(axis=(0, 1))
    assert (np.abs(shifted.added - path.added) <= 1e-8 * scale).all()
    assert (scale > 1e-5).all()


def only_candidates(path, design):
    """Return the path without what `max_active` excludes: a solver need not fit it."""
    kept = np.isfinite(path.errors)
    fold_of = design.testing.argmax(axis=0)
    return replace(
        path,
        n_nonzero=np.where(kept, path.n_nonzero, 0),
        added=np.where(kept[:, fold_of], path.added, 0),
    )


@pytest.mark.parametrize("n_features", [5, 20])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"components": 0.8},
        {"unpenalized": order_regressors(WORDS, 2)},
        {"inner": None, "l1_ratios": (0.2, 0.9), "max_active": 5},
    ],
    ids=["plain", "components", "order", "leave-one-out"],
)
def test_elastic_nets_agree(features, targets, setting, options, n_features):
    alphas = None if setting["standardize"] else tuple(np.geomspace(20, 0.1, 6))
    design = design_of(features[:, :n_features], **setting, alphas=alphas, **options)
    (path, choice), (slow, expected) = (
        fitted(SOLVERS[name], design, targets) for name in ("elastic_net", "elastic_net_sklearn")
    )
    np.testing.assert_array_equal(np.isinf(path.errors), np.isinf(slow.errors))
    assert np.isinf(path.errors).any() == ("max_active" in options and n_features == 20)
    assert_same(*(only_candidates(each, design) for each in (path, slow)))
    np.testing.assert_array_equal(choice.candidate, expected.candidate)
    np.testing.assert_array_equal(choice.n_nonzero, expected.n_nonzero)
    assert len(np.unique(choice.candidate)) > 1
    assert not path.not_converged.any()


@pytest.mark.parametrize("components", [None, 3])
def test_coefficients_make_the_predictions(solver, features, targets, setting, components):
    alphas = (1.0, 0.3, 0.05) if setting["standardize"] else (5.0, 1.0, 0.2)
    design = design_of(features, **setting, components=components, alphas=alphas)
    _, choice = fitted(solver, design, targets)
    for fold in (0, 2):
        words, test = design.training[fold], design.testing[fold]
        weights = coefficients(
            solver, design, targets, words, choice.alpha[fold], choice.l1_ratio[fold]
        )
        used = scaled_on_all_words(design)
        if design.standardize == "fold":
            used = z_scored(features, features[words])
        spread = targets[words].std(axis=0) if design.standardize else 1.0
        found = (used[test] - used[words].mean(axis=0)) @ weights * spread
        np.testing.assert_allclose(found, choice.added[test], atol=1e-9 * targets.std())
    assert np.abs(weights).max() > 1e-3
    assert len(np.unique(choice.candidate)) > 1


@pytest.mark.parametrize("standardize", ["fold", "all_words", False])
def test_a_fit_to_all_words_chooses_as_a_fold_does(solver, features, targets, standardize):
    """With the last word held out, the others are all words of a smaller study."""
    design = design_of(features, standardize=standardize, inner=4)
    if solver.sparse is False:
        design = replace(design, alphas=None)
    rest = replace(
        design,
        features=features[:-1],
        unpenalized=design.unpenalized[:-1],
        testing=design.testing[:-1, :-1],
        training=design.training[:-1, :-1],
    )
    whole = fitted_to_all(rest)
    padded = np.pad(targets[:-1], ((0, 1), (0, 0)))
    found = solver.prepare(whole)(padded)
    expected = solver.prepare(replace(design, standardize=standardize and "fold"))(targets)
    np.testing.assert_allclose(found.alpha[:, 0], expected.alpha[:, -1], rtol=1e-12)
    np.testing.assert_allclose(found.errors[:, 0], expected.errors[:, -1], rtol=1e-9)
    np.testing.assert_allclose(found.l1_max[0], expected.l1_max[-1], rtol=1e-12)


def plan_of(name, testing, training, **options):
    return Plan(
        solver=name,
        testing=testing,
        training=training,
        predictors=("model", "mean_word", "order"),
        standardize="fold",
        alphas=(0.3, 0.05),
        inner=4,
        order_terms=2,
        permutations=0,
        block=10,
        seed=0,
        **options,
    )


@pytest.mark.parametrize("name", list(SOLVERS))
@pytest.mark.parametrize("kind", ["words", "k-fold"])
def test_missing_words_are_fitted_around(name, features, targets, kind):
    testing, training = folds(kind)
    holed = targets.T.copy()
    holed[1, [3, 9]] = np.nan
    holed[2] = np.nan
    plan = plan_of(name, testing, training)
    out = fit_targets(holed, features, OWN, plan=plan)
    whole = fit_targets(targets.T, features, OWN, plan=plan)
    used = np.isfinite(holed[1])
    cut = plan_of(name, testing[:, used], training[:, used])
    alone = fit_targets(holed[1:2, used], features[used], OWN[:1], plan=cut)
    np.testing.assert_allclose(out["prediction"][0], whole["prediction"][0], rtol=1e-9)
    # The order terms of the words left over are not those of a shorter list: ridge holds them.
    for predictor in (0, 1) if SOLVERS[name].sparse else (1,):
        np.testing.assert_allclose(
            out["prediction"][1, predictor, used], alone["prediction"][0, predictor], rtol=1e-9
        )
    assert out["n_words"].tolist() == [WORDS, WORDS - 2, 0]
    assert np.isnan(out["prediction"][2]).all()
    tested = testing[:, used].any(axis=1)
    np.testing.assert_array_equal(np.isnan(out["chosen_alpha"][1]), ~tested)
