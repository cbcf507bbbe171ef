"""A held-out word never reaches the fold that predicts it, in any mode of `encode`."""

import itertools

import numpy as np
import pytest
import xarray as xr

import hgcube

WORDS, ELECTRODES, FEATURES, HELD_OUT = 24, 2, 5, 9
MODES = [
    mode
    for mode in itertools.product(
        ["ridge", "elastic_net"],
        ["fold", "all_words", False],
        [None, 0.05],
        ["leave-one-word-out", "k-fold:6"],
    )
    if mode[:3] != ("elastic_net", False, None)  # its candidates are in standardised units
]


@pytest.fixture
def features(rng):
    return xr.DataArray(2 + rng.standard_normal((WORDS, FEATURES)), dims=("word", "feature"))


@pytest.fixture
def epochs(rng, features):
    followed = features.values[:, :ELECTRODES] * 2
    power = followed + rng.standard_normal((WORDS, ELECTRODES)) + 10
    return xr.DataArray(power, dims=("word", "electrode"))


@pytest.fixture(params=MODES, ids=lambda mode: "-".join(map(str, mode)))
def encoded(request):
    solver, standardize, alpha, folds = request.param
    references = ("mean_word", "order")
    if folds == "leave-one-word-out":
        references += ("previous_word",)
    options = {
        "solver": solver,
        "standardize": standardize,
        "alpha": alpha,
        "folds": folds,
        "order_terms": 3,
        "inner": 5,
        "references": references,
    }
    return lambda epochs, features: hgcube.encode(epochs, features, **options)


def fold_of(result):
    return HELD_OUT if result.sizes["fold"] == WORDS else HELD_OUT * 6 // WORDS


def test_its_neural_value_changes_no_prediction_of_it(encoded, epochs, features):
    before = encoded(epochs, features)
    changed = epochs.copy()
    changed[HELD_OUT] += 30.0
    after = encoded(changed, features)
    own = {"word": HELD_OUT}
    # A leak of a hundred-millionth of the change would be seen.
    np.testing.assert_allclose(after["prediction"][own], before["prediction"][own], atol=3e-7)
    for name in ("chosen_alpha", "alpha_max", "n_nonzero"):
        fold = {"fold": fold_of(before)}
        np.testing.assert_allclose(after[name][fold], before[name][fold], rtol=1e-9)
    # Guard: it does reach every other fold.
    moved = np.abs(after["prediction"] - before["prediction"]).max("electrode")
    others = moved.isel(word=[0, WORDS - 1]).sel(predictor=["model", "mean_word", "order"])
    assert float(others.min()) > 0.01
    assert float(np.abs(before["prediction"].sel(predictor="model")[own]).min()) > 0.1


def test_its_vector_reaches_its_own_fold_through_its_prediction_only(encoded, epochs, features):
    """The prediction is a line in the vector if nothing fitted or scaled has seen it."""
    results = []
    for step in (-1.5, 0.0, 1.5):
        moved = features.copy()
        moved[HELD_OUT] += step
        results.append(encoded(epochs, moved))
    own = np.array([r["prediction"].sel(predictor="model")[HELD_OUT] for r in results])
    bend = np.abs(own[0] + own[2] - 2 * own[1]).max() / np.abs(own[2] - own[0]).max()
    fold = {"fold": fold_of(results[0])}
    alphas = np.array([r["chosen_alpha"][fold] for r in results])
    settings = results[0].attrs
    if settings["scaling"] == "all_words":
        # Guard, and the leak that the setting names: scaling of all words, no labels.
        assert bend > 1e-4
    else:
        assert bend < 1e-6
        np.testing.assert_allclose(alphas[0], alphas[2], rtol=1e-12)
    for name in ("mean_word", "order"):
        first, _, last = (r["prediction"].sel(predictor=name).values for r in results)
        np.testing.assert_array_equal(first, last)
    others = np.abs(results[2]["prediction"] - results[0]["prediction"]).sel(predictor="model")
    assert float(others.drop_isel(word=HELD_OUT).max()) > 1e-3
