import numpy as np
import pytest
from scipy.stats import t

from hgcube.inference.statistics import (
    adjusted_p,
    level_inside,
    mean_skill_interval,
    permutations_needed,
    q_values,
)


def test_adjusted_p_counts_the_permutations_that_reach_each_statistic(rng):
    statistic, maxima = rng.normal(2.0, 1.0, 12), rng.normal(2.0, 1.0, 30)
    expected = [(1 + sum(m >= s for m in maxima)) / 31 for s in statistic]
    p = adjusted_p(statistic, maxima)
    assert 0.1 < np.median(p) < 0.9  # not all at the floor or at 1
    np.testing.assert_array_equal(p, expected)


def test_adjusted_p_of_ties_collapsed_and_untested_electrodes():
    p = adjusted_p(np.array([2.0, -np.inf, np.nan]), np.array([2.0, -np.inf, 1.0]))
    np.testing.assert_array_equal(p, [0.5, 1.0, np.nan])


def test_adjusted_p_counts_a_permutation_without_maximum_against_the_electrode():
    assert adjusted_p(np.array([9.0]), np.array([1.0, np.nan, 1.0]))[0] == 0.5


def test_smallest_adjusted_p_is_uniform_under_the_null(rng):
    n_studies, n_permutations, n_electrodes = 4000, 19, 20
    statistics = rng.normal(size=(n_studies, n_permutations + 1, n_electrodes))
    smallest = np.array([adjusted_p(s[0], s[1:].max(axis=1)).min() for s in statistics])
    # .0034 is the binomial standard error of .05 in 4000 studies
    assert abs(np.mean(smallest <= 0.05) - 0.05) < 3 * 0.0034
    alone = (1 + (statistics[:, 1:] >= statistics[:, :1]).sum(axis=1)) / (n_permutations + 1)
    assert np.mean(alone.min(axis=1) <= 0.05) > 0.5  # what the maximum protects from


@pytest.mark.parametrize(("level", "needed"), [(0.05, 19), (0.01, 99), (0.003, 333), (0.5, 1)])
def test_permutations_needed_is_the_fewest_that_reach_the_level(level, needed):
    assert permutations_needed(level) == needed
    assert 1 / (needed + 1) <= level < 1 / needed


def test_q_values_step_up_over_the_tested_only():
    q = q_values(np.array([0.01, np.nan, 0.04, 0.03]))
    np.testing.assert_allclose(q, [0.03, np.nan, 0.04, 0.04])
    assert np.isnan(q_values(np.array([np.nan]))).all()


def test_a_selected_subject_always_keeps_its_best_electrode(rng):
    kept = 0
    for _ in range(200):
        smallest = rng.uniform(0, 1, 12) ** 4
        q = q_values(smallest)
        inside = level_inside(q, 0.05)
        assert (smallest[q <= 0.05] <= inside + 1e-12).all()
        assert inside <= 0.05
        kept += int((q <= 0.05).sum())
    assert kept > 200
    assert level_inside(np.array([0.2, 0.9]), 0.05) == 0.0
    assert level_inside(np.array([np.nan]), 0.05) == 0.0


def test_mean_skill_interval_is_the_delete_one_word_jackknife(rng):
    model, reference = rng.chisquare(1, (30, 3)), 1.5 * rng.chisquare(1, (30, 3))
    kept = [np.delete(np.arange(30), i) for i in range(30)]
    without = [np.mean(1 - model[k].sum(0) / reference[k].sum(0)) for k in kept]
    error = np.sqrt(29 / 30 * np.sum((without - np.mean(without)) ** 2))
    half = t.ppf(0.95, 29) * error
    mean, low, high = mean_skill_interval(model, reference, level=0.1)
    assert mean == pytest.approx(np.mean(1 - model.sum(0) / reference.sum(0)), rel=1e-12)
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=1e-10)
    assert half > 0.05


def test_mean_skill_interval_leaves_out_an_electrodes_missing_words(rng):
    model, reference = rng.chisquare(1, (30, 1)), rng.chisquare(1, (30, 1))
    model[[3, 7]] = np.nan
    present = ~np.isnan(model[:, 0])
    mean, _, _ = mean_skill_interval(model, reference, level=0.05)
    assert mean == pytest.approx(1 - model[present].sum() / reference[present].sum())
