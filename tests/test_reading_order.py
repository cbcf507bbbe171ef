"""What reading order alone explains has no part in the order-adjusted null."""

import numpy as np
import pytest
import xarray as xr

import hgcube
from hgcube.kernels.order import order_regressors

WORDS, ELECTRODES, FEATURES, TERMS = 40, 3, 6, 4


@pytest.fixture
def cubes(rng):
    """Epochs and features, and the same with any mixture of the order terms added to both."""
    features = rng.standard_normal((WORDS, FEATURES))
    power = features[:, :ELECTRODES] * 0.5 + rng.standard_normal((WORDS, ELECTRODES))
    order = order_regressors(WORDS, TERMS)
    drifting = (
        power + order @ rng.normal(0, 4, (TERMS + 1, ELECTRODES)),
        features + order @ rng.normal(0, 4, (TERMS + 1, FEATURES)),
    )
    return [
        (xr.DataArray(y, dims=("word", "electrode")), xr.DataArray(x, dims=("word", "feature")))
        for y, x in ((power, features), drifting)
    ]


@pytest.mark.parametrize("solver", ["ridge", "elastic_net"])
@pytest.mark.parametrize("folds", ["leave-one-word-out", "k-fold:8"])
def test_the_order_adjusted_null_does_not_feel_drifts(cubes, solver, folds):
    still, drifting = (
        hgcube.encode(
            *pair,
            solver=solver,
            folds=folds,
            standardize=False,
            alpha=0.1,
            order_terms=TERMS,
            permutations=39,
            seed=2,
        )
        for pair in cubes
    )
    for name in ("studentized_r", "null_max", "null_quantile", "p_value"):
        one, other = (r[name].sel(null="order_adjusted") for r in (still, drifting))
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
    # Guard: the plain null feels them, and there is something to find.
    one, other = (r["studentized_r"].sel(null="plain") for r in (still, drifting))
    assert float(np.abs(one - other).min()) > 0.1
    assert 0.025 <= float(still["p_value"].sel(null="order_adjusted").min()) < 0.2
    if solver == "ridge":  # whose model holds the order terms
        added = [
            r["prediction"].sel(predictor="model") - r["prediction"].sel(predictor="order")
            for r in (still, drifting)
        ]
        np.testing.assert_allclose(added[1], added[0], atol=1e-9)
        assert float(np.abs(added[0]).max()) > 0.1
