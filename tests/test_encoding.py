from __future__ import annotations

import itertools
import logging

import dask
import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import ElasticNet

from hgcube import encode
from hgcube.errors import CubeError, OptionError, UnknownLabelError
from hgcube.kernels import sklearn_net
from hgcube.kernels.permutations import permutation_table
from hgcube.schema import text_array
from hgcube.variables import VARIABLES

WORDS, ELECTRODES, FEATURES = 30, 6, 4
TEXT = [f"woord{i}" for i in range(WORDS)]
QUICK = {"ridge": {"permutations": 29}, "elastic_net": {"permutations": 20, "alpha": 0.2}}
OPTIONAL = ("coefficient",)


def make_features(rng, n_words=WORDS, n_features=FEATURES):
    return xr.DataArray(
        rng.standard_normal((n_words, n_features)),
        dims=("word", "feature"),
        coords={
            "word": np.arange(n_words),
            "text": ("word", text_array([f"woord{i}" for i in range(n_words)])),
            "in_vocabulary": ("word", np.ones(n_words, dtype=bool)),
            "space": text_array("toy"),
        },
        attrs={"trained_on": "noise", "simulated": True, "units": "1"},
    )


def make_epochs(rng, features, n_electrodes=ELECTRODES, strength=1.5):
    """Electrode 0 follows the first feature, the others nothing."""
    noise = rng.standard_normal((features.sizes["word"], n_electrodes))
    noise[:, 0] += strength * features.values[:, 0]
    return xr.DataArray(
        noise + np.arange(n_electrodes) * 10,
        dims=("word", "electrode"),
        coords={
            "word": features["word"],
            "text": features["text"],
            "flag": ("word", text_array([""] * features.sizes["word"])),
            "electrode": text_array([f"01-A{i}" for i in range(n_electrodes)]),
            "subject": ("electrode", text_array(["01"] * n_electrodes)),
            "region": ("electrode", text_array(["STG"] * n_electrodes)),
            "bad": ("electrode", np.zeros(n_electrodes, dtype=bool)),
        },
        attrs={"units": "ln(V)", "target": "mean", "lock": "voice"},
    )


@pytest.fixture
def features(rng):
    return make_features(rng)


@pytest.fixture
def epochs(rng, features):
    return make_epochs(rng, features)


@pytest.fixture(params=["elastic_net", "ridge"])
def solver(request):
    return request.param


def test_result_meets_the_schema(epochs, features, solver):
    result = encode(epochs, features, solver=solver, **QUICK[solver])
    for name, spec in VARIABLES.items():
        if spec.made_by == "results" and name not in OPTIONAL:
            assert result[name].dims == spec.dims, name
            assert result[name].attrs["long_name"] == spec.long_name
    assert result["prediction"].attrs["units"] == "ln(V)"
    assert {"subject": "01", "space": text_array("toy"), "solver": solver, "target": "mean"} == {
        name: str(coord.values) for name, coord in result.coords.items() if coord.ndim == 0
    }
    for name in ("region", "bad", "electrode", "text", "in_vocabulary"):
        assert name in result.coords
    assert result["predictor"].values.tolist() == ["model", "mean_word", "order"]
    assert result["null"].values.tolist() == ["order_adjusted", "plain"]
    assert result.attrs["simulated"]
    assert result.attrs["trained_on"] == "noise"
    assert result.attrs["scaling"] == "fold"
    assert (result.attrs["n_words_used"], result.attrs["n_electrodes_used"]) == (WORDS, ELECTRODES)


def test_result_is_the_same_from_zarr(epochs, features, tmp_path):
    result = encode(epochs, features, solver="ridge", permutations=29)
    result.to_zarr(tmp_path / "result", consolidated=False)
    stored = xr.open_zarr(tmp_path / "result", consolidated=False).load()
    xr.testing.assert_identical(stored, result)
    assert not np.isneginf(result["null_max"]).any()


def test_planted_electrode_is_found_and_silent_ones_are_not(rng):
    features = make_features(rng, 60)
    epochs = make_epochs(rng, features, strength=1.0)
    result = encode(epochs, features, solver="ridge", standardize="all_words", permutations=199)
    p = result["p_value"]
    assert (p.isel(electrode=0) <= 0.01).all()
    assert (p.isel(electrode=slice(1, None)) > 0.01).all()
    observed = result["studentized_r"].isel(electrode=0)
    assert (observed > result["null_max"].quantile(0.95, "permutation")).all()
    # Planted: half of the variance.
    skill = result["skill"].sel(predictor="model")
    assert 0.3 < float(skill[0]) < 0.7
    assert float(skill[1:].max()) < 0.2
    assert float(result["skill_over_order"][0]) > 0.3


def test_scores_against_plain_numpy(epochs, features, solver):
    result = encode(epochs, features, solver=solver)
    y = epochs.values
    mean = (y.sum(axis=0) - y) / (WORDS - 1)
    np.testing.assert_allclose(result["prediction"].sel(predictor="mean_word"), mean, rtol=1e-12)
    model = result["prediction"].sel(predictor="model").values
    for name, expected in {
        "skill": 1 - ((y - model) ** 2).sum(axis=0) / ((y - mean) ** 2).sum(axis=0),
        "r_across_words_plain": [
            np.corrcoef(a, b)[0, 1] for a, b in zip(y.T, model.T, strict=True)
        ],
        "r_across_electrodes": [np.corrcoef(a, b)[0, 1] for a, b in zip(y, model, strict=True)],
        "r_pooled": np.corrcoef(y.ravel(), model.ravel())[0, 1],
    }.items():
        found = result[name].sel(predictor="model")
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13)
    plain = result["r_across_words_plain"].sel(predictor="mean_word")
    np.testing.assert_allclose(plain, -1, rtol=1e-9)
    assert (result["skill"].sel(predictor="mean_word") == 0).all()
    assert result["r_across_words"].sel(predictor="mean_word").isnull().all()


def test_elastic_net_is_scikit_learn_s(epochs, features):
    result = encode(epochs, features, standardize=False, alpha=0.1, l1_ratio=0.3)
    rest = np.arange(WORDS) != 8
    oracle = ElasticNet(alpha=0.1, l1_ratio=0.3, tol=1e-12, max_iter=10**5)
    for electrode in range(ELECTRODES):
        oracle.fit(features.values[rest], epochs.values[rest, electrode])
        expected = oracle.predict(features.values[[8]])[0]
        found = result["prediction"].sel(predictor="model")[8, electrode]
        assert float(found) == pytest.approx(expected, abs=1e-6)
        assert result["n_nonzero"][8, electrode] == np.count_nonzero(oracle.coef_)
    assert (result["chosen_alpha"] == 0.1).all()
    assert (result["n_nonzero"][:, 0] > 0).all()


@pytest.mark.parametrize(("variation", "quoted"), [(0.1, 0.980), (0.2, 0.919), (0.4, 0.800)])
def test_the_mean_word_alone_reaches_the_published_r(rng, variation, quoted):
    """No word information: r = [1 + c^2 (1 + kappa^2) / kappa^2]^(-1/2), science.md section 2.

    kappa is the between-electrode variation of the mean (sd .55 of the logarithm: .59), c the
    word-to-word variation. The training mean's own noise adds the factor with a/99.
    """
    features = make_features(rng, 100, 300) * 0.05
    levels = np.exp(rng.normal(np.log(2), 0.55, 127))
    epochs = make_epochs(rng, features, 127).copy(
        data=levels * (1 + variation * rng.standard_normal((100, 127)))
    )
    result = encode(epochs, features, standardize=False, alpha=1.0, l1_ratio=0.5)
    r = result["r_across_electrodes"].sel(predictor="mean_word")
    kappa = levels.std() / levels.mean()
    a = variation**2 * (1 + kappa**2) / kappa**2
    expected = ((1 + a) * (1 + a / 99)) ** -0.5
    error = float(r.std()) / np.sqrt(r.size)
    # The formula leaves out the curvature of r in its sample moments: below .004 at 127.
    assert abs(float(r.mean()) - expected) < 3 * error + 0.004
    # Between data sets kappa, and r with it, varies: sd .003, .011, .024 over 40 of them.
    assert abs(float(r.mean()) - quoted) < 3 * {0.1: 0.003, 0.2: 0.011, 0.4: 0.024}[variation]
    # The published estimator is that mean.
    assert (result["n_nonzero"] == 0).all()
    assert result["collapsed"].all()
    model, mean_word = (result["prediction"].sel(predictor=p) for p in ("model", "mean_word"))
    np.testing.assert_array_equal(model, mean_word)
    assert (result["skill"].sel(predictor="model") == 0).all()


@pytest.mark.parametrize("chunks", [{"electrode": 2}, {"electrode": 4, "word": 7}])
def test_lazy_equals_eager(epochs, features, solver, chunks, raise_if_computes):
    epochs[3, 1] = np.nan
    eager = encode(epochs, features, solver=solver, **QUICK[solver])
    with raise_if_computes:
        lazy = encode(epochs.chunk(chunks), features, solver=solver, **QUICK[solver])
    computed = lazy.compute(scheduler="synchronous")
    for name, variable in lazy.data_vars.items():
        assert variable.chunks is not None, name
        assert variable.dtype == computed[name].dtype == eager[name].dtype
        assert variable.attrs == eager[name].attrs
    xr.testing.assert_allclose(computed, eager, rtol=1e-9)


@pytest.fixture
def raise_if_computes():
    def refuse(*_args, **_kwargs):
        raise AssertionError("computed")

    return dask.config.set(scheduler=refuse)


def test_number_of_tasks_does_not_depend_on_permutations(epochs, features):
    lazy = epochs.chunk(electrode=2)
    few, many = (encode(lazy, features, solver="ridge", permutations=b) for b in (20, 400))
    assert len(few.__dask_graph__()) == len(many.__dask_graph__())


def test_lags_are_targets_of_their_own(rng, epochs, features, solver):
    shifted = xr.concat([epochs, epochs[::-1].assign_coords(word=epochs["word"]) * 2], "lag")
    shifted = shifted.assign_coords(lag=[0.0, 0.1], text=epochs["text"], subject=epochs["subject"])
    shifted = shifted.transpose("word", "electrode", "lag")
    shifted.attrs = epochs.attrs
    both = encode(shifted, features, solver=solver, **QUICK[solver])
    alone = encode(shifted.isel(lag=0, drop=True), features, solver=solver, **QUICK[solver])
    assert both["prediction"].dims == ("predictor", "word", "electrode", "lag")
    assert both["null_max"].dims == ("null", "permutation")
    for name in ("prediction", "p_value", "r_across_electrodes", "r_pooled"):
        xr.testing.assert_allclose(both[name].isel(lag=0, drop=True), alone[name], rtol=1e-9)
    assert (both["null_max"] >= alone["null_max"] - 1e-9).all()


def test_missing_words_of_an_electrode_are_fitted_around(epochs, features, solver):
    holed = epochs.copy()
    holed[4, 2] = np.nan
    result = encode(holed, features, solver=solver, **QUICK[solver])
    whole = encode(epochs, features, solver=solver, **QUICK[solver])
    assert result["n_words"].values.tolist() == [30, 30, 29, 30, 30, 30]
    rest = [0, 1, 3, 4, 5]
    for name in ("prediction", "p_value"):
        xr.testing.assert_allclose(
            result[name].isel(electrode=rest), whole[name].isel(electrode=rest), rtol=1e-9
        )
    alone = encode(
        holed.isel(electrode=[2]).dropna("word"),
        features.drop_isel(word=4),
        solver=solver,
        order_terms=0,
    )
    same = encode(holed.isel(electrode=[2]), features, solver=solver, order_terms=0)
    np.testing.assert_allclose(same["prediction"].drop_isel(word=4), alone["prediction"], rtol=1e-9)
    assert same["prediction"].isel(word=4).isnull().all()
    assert np.isnan(same["chosen_alpha"].isel(fold=4)).all()


def test_words_without_vectors_are_left_out_counted_and_flagged(epochs, features, solver, caplog):
    lacking = features.copy()
    lacking[[1, 7], 0] = np.nan
    with caplog.at_level(logging.INFO, "hgcube"):
        result = encode(epochs, lacking, solver=solver)
    assert "2 of 30 words have no vector" in caplog.text
    assert np.flatnonzero(result["flag"] == "no_vector").tolist() == [1, 7]
    assert result.attrs["n_words_used"] == WORDS - 2
    assert (result["n_words"] == WORDS - 2).all()
    assert result["prediction"].isel(word=[1, 7]).isnull().all()
    assert result["prediction"].notnull().sum() == 3 * (WORDS - 2) * ELECTRODES


def test_bad_and_empty_electrodes_are_not_fitted(epochs, features, solver, caplog):
    epochs["bad"][1] = True
    epochs[:, 3] = np.nan
    with caplog.at_level(logging.INFO, "hgcube"):
        result = encode(epochs, features, solver=solver, **QUICK[solver])
    assert "2 of 6 targets not fitted" in caplog.text
    assert result["n_words"].values.tolist() == [30, 0, 30, 0, 30, 30]
    assert result.attrs["n_electrodes_used"] == 4
    unfitted = result.isel(electrode=[1, 3])
    for name in ("prediction", "skill", "p_value", "studentized_r", "chosen_alpha"):
        assert unfitted[name].isnull().all()
        assert result[name].sel(**model_of(result[name])).isel(electrode=0).notnull().all()
    assert np.isfinite(result["null_max"]).all()


def model_of(variable):
    return {"predictor": "model"} if "predictor" in variable.dims else {}


def test_collapsed_has_p_one(epochs, features):
    result = encode(epochs, features, alpha=50.0, permutations=25)
    assert result["collapsed"].all()
    assert (result["p_value"] == 1).all()
    assert np.isneginf(result["studentized_r"]).all()
    assert np.isneginf(result["null_max"]).all()


def test_targets_that_do_not_vary(epochs, features, solver):
    epochs[:, 2] = 0.1
    result = encode(epochs, features, solver=solver, **QUICK[solver])
    flat = result.isel(electrode=2)
    assert flat["collapsed"]
    assert (flat["p_value"] == 1).all()
    for name in ("r_across_words", "r_across_words_plain", "skill"):
        assert flat[name].isnull().all()


@pytest.mark.parametrize("folds", ["k-fold:5", "blocked:5:1"])
def test_other_folds(epochs, features, solver, folds):
    options = {"solver": solver, "folds": folds, "order_terms": 2, **QUICK[solver]}
    result = encode(epochs, features, **options)
    changed = epochs.copy()
    changed[:6] += 100
    after = encode(changed, features, **options)
    first = {"predictor": ["model", "mean_word", "order"]}
    np.testing.assert_allclose(
        after["prediction"].isel(word=slice(6)).sel(first),
        result["prediction"].isel(word=slice(6)).sel(first),
        rtol=1e-9,
    )
    assert result.sizes["fold"] == 5
    assert float(result["skill"].sel(predictor="model")[0]) > 0.3


def test_previous_word(epochs, features):
    result = encode(epochs, features, solver="ridge", references=("previous_word",))
    assert result["predictor"].values.tolist() == ["model", "mean_word", "previous_word"]
    previous = result["prediction"].sel(predictor="previous_word")
    np.testing.assert_allclose(previous[1:], epochs[:-1], rtol=1e-12)
    mean_word = result["prediction"].sel(predictor="mean_word")
    np.testing.assert_allclose(previous[0], mean_word[0], rtol=1e-12)
    assert "skill_over_order" not in result


def test_order_of_words_and_of_electrodes_does_not_matter(epochs, features, solver):
    """Without order terms: words and folds are permuted together."""
    shuffled = np.random.default_rng(1).permutation(WORDS)
    options = {"solver": solver, "order_terms": 0, "references": (), "alpha": 0.1}
    result = encode(epochs, features, **options)
    moved = encode(epochs[shuffled, ::-1], features[shuffled], **options)
    xr.testing.assert_allclose(
        moved["prediction"].sel(word=result["word"], electrode=result["electrode"]),
        result["prediction"],
        rtol=1e-7,
    )


def test_words_must_be_the_same(epochs, features):
    with pytest.raises(CubeError, match=r"'word'.*29"):
        encode(epochs, features[:-1])
    with pytest.raises(CubeError, match=r"'text'.*woord0.*woord1"):
        swapped = features.assign_coords(text=("word", [TEXT[1], TEXT[0], *TEXT[2:]]))
        encode(epochs, swapped)
    with pytest.raises(CubeError, match="number of words"):
        encode(epochs.drop_vars(["word", "text"]), features[:-1].drop_vars(["word", "text"]))


def test_one_subject_at_a_time(epochs, features):
    two = epochs.assign_coords(subject=("electrode", ["01"] * 3 + ["02"] * 3))
    with pytest.raises(CubeError, match="one subject"):
        encode(two, features)


def test_too_few_words(epochs, features):
    with pytest.raises(CubeError, match="training words"):
        encode(epochs[:8], features[:8], solver="ridge")
    lacking = features.where(features["word"] < 2)
    with pytest.raises(CubeError, match=r"2 of 30 words.*fold 0.*words \[0\], trains on 1"):
        encode(epochs, lacking, solver="ridge", order_terms=0)
    with pytest.raises(CubeError, match="no fold tests any"):
        encode(epochs, features * np.nan)


def test_an_electrode_with_one_training_word_is_named(epochs, features, solver, caplog):
    holed = epochs.copy()
    holed[2:, 4] = np.nan
    with caplog.at_level(logging.INFO, "hgcube"):
        result = encode(holed, features, solver=solver, alpha=0.1)
    assert "1 of 6 targets not fitted: bad, or too few known words (01-A4)" in caplog.text
    assert result["n_words"].values.tolist() == [30, 30, 30, 30, 0, 30]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.0}, "alpha > 0"),
        ({"alpha": np.nan}, "alpha > 0"),
        ({"l1_ratio": 1.5}, "l1_ratio from 0 to 1"),
        ({"l1_ratio": 0.0}, "solver='ridge'"),
        ({"alpha": (0.1, -1.0)}, "alpha > 0"),
        ({"alpha": ()}, "at least one penalty"),
        ({"null_alpha": 0.0}, "alpha > 0"),
        ({"standardize": False}, "standardised units"),
        ({"inner": 1}, "at least 2 folds"),
        ({"inner": "loo"}, "leave-one-out"),
        ({"choose": "lobe"}, "choose 'electrode'"),
        ({"max_active": 0}, "max_active >= 1"),
        ({"max_active": 5, "solver": "ridge"}, "sparse solver"),
        ({"components": 0}, "components"),
        ({"components": 1.5}, "components"),
        ({"null": "free"}, "null 'fixed'"),
        ({"permutations": 100}, "Give null_alpha"),
        ({"permutations": 100, "alpha": (0.1, 0.2)}, "Give null_alpha"),
        ({"permutations": 100, "null_alpha": 1.0, "l1_ratio": (0.1, 0.5)}, "one l1_ratio"),
        ({"permutations": -1}, "permutations >= 0"),
        ({"order_terms": -1}, "order_terms >= 0"),
        ({"block": 1}, "block >= 2"),
        ({"standardize": True}, "standardize"),
        ({"standardize": "folds"}, "standardize"),
    ],
)
def test_wrong_options(epochs, features, options, message):
    with pytest.raises(OptionError, match=message):
        encode(epochs, features, **options)


@pytest.mark.parametrize(
    ("options", "closest"),
    [
        ({"solver": "ElasticNet"}, "elastic_net"),
        ({"references": ("mean",)}, "mean_word"),
        ({"coefficients": ("all words",)}, "all_words"),
        ({"coefficients": (WORDS,)}, "known fold of coefficients"),
    ],
)
def test_unknown_names(epochs, features, options, closest):
    with pytest.raises(UnknownLabelError, match=closest):
        encode(epochs, features, **options)


def test_too_few_permutations_are_said(epochs, features, caplog):
    with caplog.at_level(logging.INFO, "hgcube"):
        encode(epochs, features, solver="ridge", permutations=10)
    assert "10 permutations cannot give a p below 0.091" in caplog.text


def test_fits_that_stop_early_are_said(epochs, features, caplog, monkeypatch):
    monkeypatch.setattr(sklearn_net, "MAX_SWEEPS", 1)
    with caplog.at_level(logging.INFO, "hgcube"):
        result = encode(epochs, features, solver="elastic_net_sklearn", alpha=0.001)
    assert (result["not_converged"] > 0).all()
    said = "6 of 6 targets with fits that did not converge (01-A0, 01-A1, 01-A2, ...)"
    assert said in caplog.text


def test_every_choice_is_made_again_in_each_permutation(epochs, features):
    """The nested null against a loop of whole `encode` calls on permuted epochs."""
    options = {
        "solver": "ridge",
        "standardize": "all_words",
        "order_terms": 0,
        "references": (),
    }
    result = encode(epochs, features, permutations=30, null="nested", seed=3, **options)
    table = permutation_table(WORDS, 30, block=None, seed=3)
    permuted, penalties = [], []
    for order in table:
        again = encode(epochs.copy(data=epochs.values[order]), features, **options)
        permuted.append(again["r_across_words"].sel(predictor="model").values)
        penalties.append(again["chosen_alpha"].values)
    observed = result["r_across_words"].sel(predictor="model").values
    reached = (np.array(permuted) >= observed - 1e-12).sum(axis=0)
    np.testing.assert_array_equal(result["p_value"][0], (1 + reached) / 31)
    together = np.vstack([observed, permuted])
    studentized = (observed - together.mean(axis=0)) / together.std(axis=0)
    np.testing.assert_allclose(result["studentized_r"][0], studentized, rtol=1e-8)
    scaled = (np.array(permuted) - together.mean(axis=0)) / together.std(axis=0)
    np.testing.assert_allclose(result["null_max"][0], scaled.max(axis=1), rtol=1e-8)
    assert result.attrs["alpha_of_null"] == "nested"
    # Guard: permutations choose otherwise than the observed did, and not all alike.
    assert np.abs(np.array(penalties) - result["chosen_alpha"].values).max() > 0
    fixed = encode(epochs, features, permutations=30, seed=3, **options)
    assert float(np.abs(fixed["studentized_r"] - result["studentized_r"]).max()) > 0.01


@pytest.mark.parametrize(
    ("solver", "null", "under"),
    [("ridge", "order_adjusted", "order"), ("elastic_net", "plain", "mean_word")],
)
def test_nested_null_tests_the_reported_model(epochs, features, solver, null, under):
    """Its observed statistic is r of the predictions over the reference the model contains."""
    one = epochs[:, :1]
    result = encode(one, features, solver=solver, permutations=40, null="nested", inner=4)
    model, reference = (result["prediction"].sel(predictor=p).values for p in ("model", under))
    left, added = one.values - reference, model - reference
    r = (added * left).sum() / np.sqrt((added**2).sum() * (left**2).sum())
    # Of one electrode the maxima are its own studentised r: two quantiles give back the scale.
    own = result.sel(null=null)
    studentized = np.quantile(own["null_max"], [0.5, 0.975], method="inverted_cdf")
    plain = own["null_quantile"].sel(quantile=[0.5, 0.975]).values[:, 0]
    scale = (plain[1] - plain[0]) / (studentized[1] - studentized[0])
    back = plain[0] + scale * (float(own["studentized_r"][0]) - studentized[0])
    assert back == pytest.approx(r, rel=1e-8)
    assert 0.3 < r < 1


def test_who_chooses_together(rng, features, caplog):
    epochs = make_epochs(rng, features)
    regions = ["STG", "STG", "IFG", "", "IFG", "n/a"]
    epochs = epochs.assign_coords(region=("electrode", text_array(regions)))
    options = {"solver": "ridge", "standardize": "all_words"}
    with caplog.at_level(logging.INFO, "hgcube"):
        found = {
            who: encode(epochs, features, choose=who, **options)["chosen_alpha"]
            for who in ("electrode", "region", "subject")
        }
    assert "2 of 6 electrodes have no region" in caplog.text
    subject = found["subject"]
    assert (subject == subject[:, :1]).all()
    region = found["region"]
    assert (region[:, 0] == region[:, 1]).all()
    assert (region[:, 2] == region[:, 4]).all()
    np.testing.assert_array_equal(region[:, [3, 5]], found["electrode"][:, [3, 5]])
    for one, other in itertools.combinations(found.values(), 2):
        assert (one != other).any()
    alone = encode(epochs[:, [2, 4]], features, choose="subject", **options)
    np.testing.assert_array_equal(alone["chosen_alpha"], region[:, [2, 4]])


def test_a_region_chooses_as_one_however_it_is_cut(epochs, features, raise_if_computes):
    epochs = epochs.assign_coords(region=("electrode", ["a", "b", "a", "b", "b", "a"]))
    options = {"inner": 4, "choose": "region", "permutations": 20, "null": "nested"}
    eager = encode(epochs, features, **options)
    with raise_if_computes:
        lazy = encode(epochs.chunk(electrode=1), features, **options)
    xr.testing.assert_allclose(lazy.compute(scheduler="synchronous"), eager, rtol=1e-12)
    with pytest.raises(CubeError, match="coordinate 'region'"):
        encode(epochs.drop_vars("region"), features, **options)


def test_lags_choose_with_their_region_and_else_for_themselves(rng, epochs, features):
    two = xr.concat([epochs, epochs[::-1].assign_coords(word=epochs["word"]) * 2], "lag")
    two = two.assign_coords(lag=[0.0, 0.1], text=epochs["text"], subject=epochs["subject"])
    two = two.transpose("word", "electrode", "lag")
    options = {"solver": "ridge", "standardize": "all_words"}
    own = encode(two, features, **options)["chosen_alpha"]
    alone = encode(two.isel(lag=1, drop=True), features, **options)["chosen_alpha"]
    xr.testing.assert_allclose(own.isel(lag=1, drop=True), alone, rtol=1e-12)
    together = encode(two, features, choose="subject", **options)["chosen_alpha"]
    assert (together == together[:, 0, 0]).all()
    assert (own != together).any()


@pytest.mark.parametrize("block", [1, 4, 6])
def test_elastic_net_is_bitwise_the_same_however_it_is_cut(epochs, features, block):
    options = {"inner": 4, "permutations": 20, "null": "nested", "coefficients": ("all_words",)}
    whole = encode(epochs, features, **options)
    cut = encode(epochs.chunk(electrode=block), features, **options)
    fitted = ["prediction", "alpha_max", "n_nonzero", "p_value", "null_max", "coefficient"]
    xr.testing.assert_equal(cut[fitted].compute(scheduler="synchronous"), whole[fitted])
    for name in ("chosen_alpha", "null_quantile", "studentized_r"):
        np.testing.assert_array_equal(cut[name], whole[name])


def test_several_candidates(epochs, features):
    options = {"alpha": (0.1, 0.4, 0.2), "l1_ratio": [0.9, 0.3], "inner": 5}
    result = encode(epochs, features, **options)
    assert set(np.unique(result["chosen_alpha"])) <= {0.1, 0.2, 0.4}
    assert set(np.unique(result["chosen_l1_ratio"])) == {0.3, 0.9}
    assert (result.attrs["alpha"], result.attrs["l1_ratio"]) == ([0.4, 0.2, 0.1], [0.3, 0.9])
    xr.testing.assert_allclose(
        result["alpha_ratio"], result["chosen_alpha"] / result["alpha_max"], rtol=1e-12
    )
    collapsed = result["n_nonzero"] == 0
    np.testing.assert_array_equal(collapsed, result["alpha_ratio"] >= 1)
    assert collapsed.any() and not collapsed.all()


def test_max_active_stops_the_path(epochs, features):
    free = encode(epochs, features, inner=5)
    stopped = encode(epochs, features, inner=5, max_active=1)
    assert float(free["n_nonzero"].max()) > 1
    assert float(stopped["n_nonzero"].max()) == 1
    assert (stopped["chosen_alpha"] >= free["chosen_alpha"]).all()


@pytest.mark.parametrize("standardize", ["fold", "all_words", False])
def test_coefficients_on_request(epochs, features, solver, standardize):
    options = {"solver": solver, "standardize": standardize, "order_terms": 0, "inner": 5}
    options |= {"alpha": (0.4, 0.2, 0.05), "coefficients": ("all_words", 4)}
    features = features.assign_coords(feature=["a", "b", "c", "d"])
    result = encode(epochs, features, **options)
    assert result["coefficient"].dims == ("coefficient_fold", "feature", "electrode")
    assert result["coefficient_fold"].values.tolist() == ["all_words", "4"]
    assert result["feature"].values.tolist() == ["a", "b", "c", "d"]
    rest = np.arange(WORDS) != 4
    x, y = features.values, epochs.values
    scale = {"fold": rest, "all_words": slice(None)}.get(standardize)
    z = x if scale is None else (x - x[scale].mean(axis=0)) / x[scale].std(axis=0)
    spread = y[rest].std(axis=0) if standardize else 1.0
    weights = result["coefficient"].sel(coefficient_fold="4").values
    expected = y[rest].mean(axis=0) + (z[4] - z[rest].mean(axis=0)) @ weights * spread
    found = result["prediction"].sel(predictor="model")[4]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    both = result["coefficient"].sel(feature="a", electrode="01-A0")
    assert (np.abs(both) > 0.1).all()
    assert float(both[0]) != float(both[1])
    assert "coefficient" not in encode(epochs, features, solver=solver, alpha=0.1)


def test_components_of_the_features(rng, features, solver):
    """More features than components: what has no variance is not fitted."""
    noise = features.values @ rng.standard_normal((FEATURES, 12)) * 3
    many = xr.DataArray(noise + 5, dims=("word", "feature"))
    many = many.assign_coords(word=features["word"], text=features["text"])
    epochs = make_epochs(rng, features, strength=3)
    options = {"solver": solver, "inner": 5, "alpha": 0.01}
    whole = encode(epochs, many, components=1.0, **options)
    two = encode(epochs, many, components=2, **options)
    assert (whole.attrs["components"], two.attrs["components"]) == (1.0, 2)
    assert float(whole["n_nonzero"].max()) == FEATURES
    assert float(two["n_nonzero"].max()) == 2
    skill = [float(r["skill"].sel(predictor="model")[0]) for r in (whole, two)]
    assert skill[0] > 0.5
    assert skill[0] > skill[1]
    assert "components" not in encode(epochs, many, **options).attrs


def test_a_penalty_above_every_alpha_max_collapses(epochs, features):
    result = encode(epochs, features, alpha=(40.0, 20.0), inner=5)
    assert result["collapsed"].all()
    assert (result["alpha_ratio"] > 1).all()
    assert (result["chosen_alpha"] == 40.0).all()
