import subprocess
import sys

import numpy as np
import pytest
from fake_results import fake_epochs, fake_result

import hgcube
from hgcube import tables, views
from hgcube.errors import CubeError, MissingExtraError, UnknownLabelError
from hgcube.views import drawing
from hgcube.views.scores import R2_BINS, r2_counts

hv = pytest.importorskip("holoviews")


@pytest.fixture(scope="module")
def results():
    return [fake_result("01", seed=1), fake_result("02", seed=2, planted=(), spread=0.3)]


@pytest.fixture(scope="module")
def word_table(results):
    return tables.by_word(results).isel(space=0, solver=0)


@pytest.fixture(scope="module")
def electrode_table(results):
    table = tables.by_electrode(results, hgcube.verify(results))
    return table.isel(space=0, solver=0)


def layer(overlay, kind):
    return [element for element in overlay if isinstance(element, kind)]


def drawn(element):
    svg, _ = hv.renderer("matplotlib").instance(fig="svg")(element, fmt="svg")
    assert "<svg" in svg
    return svg


def test_envelope_is_the_mean_over_words_with_its_interval_and_the_onset():
    epochs = fake_epochs()
    overlay = views.envelope(epochs, "01-LA1")
    (curve,), (band,), (line,) = (layer(overlay, k) for k in (hv.Curve, hv.Spread, hv.VLine))
    values = epochs.sel(electrode="01-LA1")
    np.testing.assert_allclose(curve["high_gamma"], values.mean("word"))
    half = 1.96 * values.std("word", ddof=1) / np.sqrt(12)
    np.testing.assert_allclose(band["half"], half)
    assert half.min() > 0.05
    assert line.data == 0.0
    assert curve.get_dimension("lag").pprint_label == "time from voice onset (s)"
    assert curve.get_dimension("high_gamma").pprint_label == "high gamma (ln(V))"
    drawn(overlay)


def test_envelope_of_all_leaves_bad_electrodes_and_missing_words_out():
    epochs = fake_epochs().assign_coords(bad=("electrode", [False, True, False, False]))
    epochs[3] = np.nan
    (curve,) = layer(views.envelope(epochs), hv.Curve)
    expected = epochs.isel(electrode=[0, 2, 3]).mean(["word", "electrode"])
    np.testing.assert_allclose(curve["high_gamma"], expected)


def test_r2_counts_are_means_over_subjects_and_lose_no_word(results, word_table):
    for predictor in ("model", "mean_word"):
        counts = r2_counts(word_table, predictor)
        assert len(counts) == len(R2_BINS)
        assert sum(counts) == pytest.approx(60)
        r2 = np.concatenate([r.r2_across_electrodes.sel(predictor=predictor) for r in results])
        assert counts[0] == np.sum(r2 < 0) / 2 > 0
        assert counts[10] == np.sum(r2 >= 0.9) / 2 > 0


def test_r2_bins_stand_beside_the_mean_word(word_table):
    bars = views.r2_bins(word_table)
    assert set(bars.dimension_values("predictor")) == {"model", "mean word"}
    by_model = bars.select(predictor="model").dimension_values("words")
    np.testing.assert_allclose(by_model, r2_counts(word_table, "model"))
    svg = drawn(bars)
    # each bar has the colour of its own predictor: model first
    assert svg.index(drawing.COLOURS["model"].lower()) < svg.index(
        drawing.COLOURS["mean_word"].lower()
    )


def test_found_electrodes_are_marked_and_all_are_there(electrode_table):
    overlay = views.electrodes(electrode_table)
    points = {e.label: e for e in layer(overlay, hv.Scatter)}
    assert points["found electrodes"]["place"].tolist() == [0, 3]
    assert len(points["found electrodes"]) + len(points["other electrodes"]) == 16
    skill = electrode_table.skill.sel(predictor="model").values
    np.testing.assert_array_equal(points["found electrodes"]["skill"], skill[[0, 3]])
    drawn(overlay)


def test_the_null_band_stands_behind_r_across_words(electrode_table):
    overlay = views.electrodes(electrode_table, "r_across_words")
    (band,) = layer(overlay, hv.Area)
    np.testing.assert_array_equal(band["low"], electrode_table.null_quantile[0, 0])
    assert "0.025 to 0.975" in band.label
    assert not layer(views.electrodes(electrode_table), hv.Area)
    drawn(overlay)


def test_reconstruction_shows_the_mean_word_beside_the_model(results):
    overlay = views.reconstruction(results[0], "regen")
    model, mean_word = layer(overlay, hv.Curve)
    (observed,) = layer(overlay, hv.Scatter)
    one = results[0].isel(word=2)
    np.testing.assert_array_equal(observed["high_gamma"], one.observed)
    np.testing.assert_array_equal(model["high_gamma"], one.prediction.sel(predictor="model"))
    np.testing.assert_array_equal(mean_word["high_gamma"], one.prediction[1])
    assert (model.label, mean_word.label) == ("model", "mean word")
    drawn(overlay)


def test_what_is_not_there_is_named(results):
    with pytest.raises(CubeError, match="windows"):
        views.envelope(fake_epochs().isel(lag=0, drop=True))
    with pytest.raises(UnknownLabelError, match="01-LA1"):
        views.envelope(fake_epochs(), "01-LA11")
    with pytest.raises(UnknownLabelError, match="'regen'"):
        views.reconstruction(results[0], "regn")


def test_without_holoviews_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "holoviews", None)
    with pytest.raises(MissingExtraError, match=r'pip install "hgcube\[viz\]"'):
        drawing.plotting()


def test_views_are_imported_without_a_plotting_library():
    code = "import sys, hgcube.views; print({'holoviews', 'matplotlib'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
