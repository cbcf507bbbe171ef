from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hgcube.kernels import ridge
from hgcube.kernels.choice import added_predictions
from hgcube.kernels.designs import Design, baseline
from hgcube.kernels.fitting import fit_targets
from hgcube.kernels.order import order_regressors
from hgcube.kernels.permutations import on_words, permutation_table, refitted_null
from hgcube.kernels.plan import Plan
from hgcube.kernels.scores import fold_corrected_r


def test_table_permutes_inside_blocks():
    table = permutation_table(25, 50, block=10, seed=3)
    assert (np.sort(table, axis=1) == np.arange(25)).all()
    assert (table // 10 == np.arange(25) // 10).all()
    assert len(np.unique(table, axis=0)) == 50
    np.testing.assert_array_equal(table, permutation_table(25, 50, block=10, seed=3))
    assert (table != permutation_table(25, 50, block=10, seed=4)).any()


def test_table_reaches_all_orders_alike():
    table = permutation_table(4, 4800, block=None, seed=0)
    _, counts = np.unique(table, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3


def test_words_left_out_keep_the_blocks():
    table = permutation_table(30, 20, block=10, seed=0)
    used = np.ones(30, dtype=bool)
    used[[2, 3, 17]] = False
    home = np.arange(30)[used] // 10
    induced = on_words(table, used)
    assert (np.sort(induced, axis=1) == np.arange(27)).all()
    assert (home[induced] == home).all()


def setting(n_words, n_features, rng, terms):
    testing = np.eye(n_words, dtype=bool)
    free = order_regressors(n_words, terms)
    features = rng.standard_normal((n_words, n_features))
    design = Design(
        features=features,
        unpenalized=free,
        testing=testing,
        training=~testing,
        standardize="all_words",
        alphas=(1.0,),
    )
    reference = baseline(free, testing, ~testing)
    return design, reference, free @ np.linalg.pinv(free)


def added_by_ridge(design):
    fitter = ridge.prepare(design)

    def added(columns):
        groups = np.arange(columns.shape[1])
        masks = design.testing, design.training
        return added_predictions(fitter(columns), columns, *masks, groups)

    return added


def test_null_equals_a_loop_of_refits(rng):
    design, reference, smooth = setting(20, 5, rng, 2)
    targets = design.features[:, :2] + rng.standard_normal((20, 2)) + 30
    table = permutation_table(20, 40, block=10, seed=1)
    null = refitted_null(added_by_ridge(design), reference, smooth, targets, table)
    for target, y in enumerate(targets.T):
        fitted = smooth @ y

        def r(values):
            added = added_by_ridge(design)(values[:, None])[:, 0]
            return fold_corrected_r(added, values - reference @ values)

        loop = np.array([r(fitted + (y - fitted)[order]) for order in table])
        everything = np.append(loop, r(y))
        assert null.p_value[target] == (1 + (loop >= r(y)).sum()) / 41
        np.testing.assert_allclose(
            null.permuted[:, target], (loop - everything.mean()) / everything.std(), rtol=1e-8
        )
        assert null.studentized_r[target] == pytest.approx(
            (r(y) - everything.mean()) / everything.std()
        )
        quantiles = np.quantile(loop, [0.025, 0.5, 0.95, 0.975], method="inverted_cdf")
        np.testing.assert_allclose(null.quantiles[:, target], quantiles, rtol=1e-8)
    assert null.p_value.max() < 1


def test_collapsed_stay_in_as_minus_infinity(rng):
    _, reference, smooth = setting(20, 5, rng, 0)
    targets = rng.standard_normal((20, 2))
    table = permutation_table(20, 30, block=None, seed=1)

    def second_only(columns):
        added = columns - columns.mean(axis=0)
        return added * (np.arange(columns.shape[1]) % 2)

    null = refitted_null(second_only, reference, smooth, targets, table)
    assert null.p_value[0] == 1
    assert null.studentized_r[0] == -np.inf
    assert (null.permuted[:, 0] == -np.inf).all()
    assert np.isfinite(null.permuted[:, 1]).all()
    assert np.isneginf(null.quantiles[:, 0]).all()


def false_positives(rng, n_sets, n_words, permutations, *, drift, nested=False):
    """Share of p <= .05 where the words say nothing; fresh features for every data set."""
    trend = np.linspace(-1, 1, n_words)[:, None] * drift
    hits = 0
    for _ in range(n_sets):
        design, reference, smooth = setting(n_words, 20, rng, 6 if drift else 0)
        design = Design(
            **{
                **vars(design),
                "features": design.features + trend,
                "alphas": None if nested else (1.0,),
            }
        )
        targets = rng.standard_normal((n_words, 1)) + trend
        table = permutation_table(
            n_words, permutations, block=10 if drift else None, seed=int(rng.integers(2**32))
        )
        null = refitted_null(added_by_ridge(design), reference, smooth, targets, table)
        hits += null.p_value[0] <= 0.05
    return hits


@pytest.mark.parametrize("drift", [0, 2])
@pytest.mark.parametrize("nested", [False, True])
def test_false_positives_keep_their_level(rng, drift, nested):
    hits = false_positives(rng, 200, 60, 59, drift=drift, nested=nested)
    low, high = stats.binom.interval(0.95, 200, 0.05)
    assert low <= hits <= high


@pytest.mark.slow
@pytest.mark.parametrize("drift", [0, 2])
def test_false_positives_keep_their_level_at_full_size(rng, drift):
    hits = false_positives(rng, 1000, 100, 199, drift=drift)
    low, high = stats.binom.interval(0.95, 1000, 0.05)
    assert low <= hits <= high


def nested_p(solver, rng, n_words=24, n_features=6):
    """p of the nested null where the words say nothing."""
    testing = np.eye(n_words, dtype=bool)
    plan = Plan(
        solver=solver,
        testing=testing,
        training=~testing,
        predictors=("model", "mean_word"),
        standardize="all_words",
        alphas=None if solver == "ridge" else (1.0, 0.5, 0.2),
        inner=None if solver == "ridge" else 3,
        order_terms=0,
        permutations=19,
        null="nested",
        block=10,
        seed=int(rng.integers(2**32)),
    )
    features = rng.standard_normal((n_words, n_features))
    targets = rng.standard_normal((1, n_words))
    return fit_targets(targets, features, np.zeros(1, dtype=int), plan=plan)["p_value"][0, 0]


@pytest.mark.parametrize(
    ("solver", "n_studies"),
    [
        ("ridge", 200),
        pytest.param("ridge", 1000, marks=pytest.mark.slow),
        pytest.param("elastic_net", 1000, marks=pytest.mark.slow),
    ],
)
def test_nested_null_is_uniform_where_the_words_say_nothing(rng, solver, n_studies):
    p = np.array([nested_p(solver, rng) for _ in range(n_studies)])
    # A collapsed model has p 1: its share is taken from the large p, never from the small.
    for level in (0.05, 0.1, 0.25, 0.5):
        low, high = stats.binom.interval(0.99, n_studies, level)
        assert low <= (p <= level + 1e-9).sum() <= high
    if solver == "ridge":
        assert stats.chisquare(np.bincount(np.round(p * 20).astype(int))[1:]).pvalue > 1e-3
