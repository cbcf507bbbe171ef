"""The seconds and bytes that `hgcube.kernels.costs` predicts, against those of this machine."""

import time
import tracemalloc

import numpy as np
import pytest

from hgcube.cluster import one_thread_each
from hgcube.kernels.costs import Work, cost_of, memory_of, penalties_of
from hgcube.kernels.fitting import fit_targets
from hgcube.kernels.plan import Plan

N_WORDS = 100
LEAVE_ONE_OUT = np.eye(N_WORDS, dtype=bool)
TYPICAL = {
    "ridge, closed form, 2 x 1,000 fixed": (
        "ridge",
        300,
        127,
        {"standardize": "all_words", "permutations": 1000},
    ),
    "ridge, closed form, 2 x 200 nested": (
        "ridge",
        768,
        32,
        {"standardize": "all_words", "permutations": 200, "null": "nested"},
    ),
    "ridge, scaled in the fold": ("ridge", 300, 64, {}),
    "elastic net, 2 x 20 at one penalty": (
        "elastic_net",
        300,
        32,
        {"alphas": (0.4,), "permutations": 20},
    ),
    "elastic net, inner 10-fold": ("elastic_net", 50, 16, {"inner": 10}),
    "elastic net, inner leave-one-out": ("elastic_net", 300, 4, {}),
    "elastic net, 20 components": ("elastic_net", 300, 8, {"inner": 5, "components": 20}),
}


def measured(solver, n_features, n_targets, options):
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((N_WORDS, 50)) / np.sqrt(np.arange(1, 51))
    features = latent @ rng.standard_normal((50, n_features))
    features += 0.1 * rng.standard_normal(features.shape)
    planted = features[:, :n_targets] / features[:, :n_targets].std(axis=0)
    targets = 0.4 * planted + rng.standard_normal((N_WORDS, n_targets))
    plan = Plan(
        solver=solver,
        testing=LEAVE_ONE_OUT,
        training=~LEAVE_ONE_OUT,
        predictors=("model", "mean_word", "order"),
        order_terms=6,
        block=10,
        seed=0,
        **{"standardize": "fold", "permutations": 0, **options},
    )
    began = time.process_time()
    fit_targets(targets.T.copy(), features, np.arange(n_targets), plan=plan)
    return time.process_time() - began


def work_of(solver, n_features, options):
    return Work(
        solver=solver,
        n_words=N_WORDS,
        n_features=n_features,
        n_folds=N_WORDS,
        penalties=penalties_of(solver, options.get("alphas"), 0.5, 100),
        n_inner=options.get("inner", N_WORDS),
        permutations=2 * options.get("permutations", 0),
        nested=options.get("null") == "nested",
        strict="standardize" not in options,
        components=options.get("components", 0),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPICAL)
def test_predicted_seconds_are_near_the_measured(name):
    solver, n_features, n_targets, options = TYPICAL[name]
    with one_thread_each():
        measured(solver, n_features, 2, options)  # compiles
        clock = measured(solver, n_features, n_targets, options)
        tracemalloc.start()
        measured(solver, n_features, n_targets, options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    work = work_of(solver, n_features, options)
    cost, bound = cost_of(work), memory_of(work, n_targets)
    expected = cost.shared + n_targets * cost.each
    print(f"\n{name}: {clock:.2f} s, predicted {expected:.2f} s")
    print(f"peak {peak / 1e6:.1f} MB, bound {bound / 1e6:.1f} MB")
    assert expected / 4 < clock < expected * 4
    assert peak < bound
