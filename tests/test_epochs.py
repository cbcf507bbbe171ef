import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hgcube.epochs import epoch
from hgcube.errors import CubeError, OptionError
from hgcube.schema import check, text_array
from tests.oracles import locked_means
from tests.recordings import plain, power, words

LAGS = (-0.5, 0.9)


@pytest.mark.parametrize(("lock", "onset"), [("voice", "voice_onset"), ("display", "onset")])
def test_windows_equal_a_loop(lock, onset):
    cube, spoken = power(), words()
    epochs = epoch(cube, spoken, lock=lock, lags=LAGS, step=0.05)
    assert epochs.dims == ("word", "electrode", "lag")
    np.testing.assert_allclose(epochs.lag, np.arange(-10, 19) * 0.05, atol=1e-12)
    expected = locked_means(
        cube.values, cube.time.values, spoken[onset].values, epochs.lag.values, 0.05
    )
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(epochs, expected, rtol=1e-12)


def test_mean_is_over_samples_from_the_first_lag_up_to_the_last():
    cube, spoken = power(), words()
    epochs = epoch(cube, spoken, target="mean", lags=(0.0, 0.5))
    assert epochs.dims == ("word", "electrode")
    for i, onset in enumerate(spoken.voice_onset.values):
        seconds = cube.time.values - onset
        inside = (seconds >= 0) & (seconds < 0.5)
        np.testing.assert_allclose(epochs[i], cube.values[:, inside].mean(axis=1), rtol=1e-12)
    assert epochs.attrs["target"] == "mean"
    assert "step" not in epochs.attrs


@settings(max_examples=25, deadline=None)
@given(shift=st.integers(-40, 40), seed=st.integers(0, 20))
def test_moving_clock_and_words_together_changes_nothing(shift, seed):
    cube, spoken = power(seed=seed), words()
    moved = cube.assign_coords(time=cube.time + shift)
    moved.time.attrs = cube.time.attrs
    later = spoken.assign_coords(onset=spoken.onset + shift, voice_onset=spoken.voice_onset + shift)
    np.testing.assert_array_equal(epoch(cube, spoken), epoch(moved, later))


def test_every_sample_falls_in_one_window_on_a_decimal_clock():
    cube = power(rate=100.0)
    cube = cube.assign_coords(time=np.round(cube.time - 0.025, 2))
    cube.time.attrs["sampling_frequency"] = 100.0
    counting = cube.copy(data=np.tile(np.arange(cube.sizes["time"], dtype=float), (6, 1)))
    for onset in np.round(np.arange(1.0, 2.0, 0.01), 2):
        epochs = epoch(counting, words(onsets=[onset], delay=0.0), lags=(-0.5, 0.5), step=0.1)
        centres = np.round((onset + epochs.lag.values) * 100)
        np.testing.assert_allclose(epochs[0, 0], centres - 0.5)  # samples -5 ... +4 of each centre


def test_word_and_electrode_coordinates_are_kept():
    epochs = epoch(power(), words())
    check(epochs, "epochs", stored=True)
    assert epochs.text.values.tolist() == words().values.tolist()
    np.testing.assert_array_equal(epochs.voice_onset, words().voice_onset)
    assert epochs.region.dims == ("electrode",)
    assert epochs.attrs["lock"] == "voice"


def test_words_outside_or_silent_stay_as_rows_of_nan(caplog):
    spoken = words(onsets=[0.2, 1.5, 3.0, 5.2], delay=0.2)
    spoken.voice_onset[2] = np.nan
    flags = text_array(["", "early", "silent;early", ""])
    with caplog.at_level(logging.WARNING, "hgcube"):
        epochs = epoch(power(), spoken.assign_coords(flag=("word", flags)))
    assert epochs.flag.values.tolist() == ["outside", "early", "silent;early", "outside"]
    assert np.isnan(epochs).all(["electrode", "lag"]).values.tolist() == [True, False, True, True]
    assert np.isfinite(epochs[1]).all()
    assert "epochs 01 windows: 2 of 4 words are outside and NaN" in caplog.text
    assert "1 of 4 words are silent" in caplog.text
    shown = epoch(power(), spoken, lock="display", target="mean", lags=(0.0, 0.5))
    assert np.isfinite(shown).all()
    assert shown.flag.values.tolist() == [""] * 4


@pytest.mark.parametrize("target", ["windows", "mean"])
def test_words_marked_bad_are_in_no_row_and_no_baseline(target, caplog):
    cube = power().assign_attrs(units="ln(V)")
    spoken = words(onsets=[0.9, 2.0, 3.2])
    marks = text_array(["", "early;bad: coughed", "badly spelt"])
    marked = spoken.assign_coords(flag=("word", marks))
    settings = {"target": target, "lags": (0.0, 0.5), "baseline": (-0.4, 0.0)}
    with caplog.at_level(logging.WARNING, "hgcube"):
        epochs = epoch(cube, marked, **settings)
    assert np.isnan(epochs[1]).all()
    assert epochs.flag.values.tolist() == marks.tolist()
    assert "1 of 3 words are marked bad and NaN" in caplog.text
    without = epoch(cube, spoken.isel(word=[0, 2]), **settings)
    np.testing.assert_array_equal(epochs[[0, 2]], without)
    assert np.abs(epoch(cube, spoken, **settings)[[0, 2]] - without).max() > 1e-6


def test_a_word_displayed_at_the_first_sample_is_inside():
    spoken = words(onsets=[0.0, 1.0], delay=None)
    epochs = epoch(power(), spoken, lock="display", target="mean", lags=(0.0, 1.0))
    assert np.isfinite(epochs).all()
    assert epochs.flag.values.tolist() == ["", ""]


def test_nan_stays_in_its_electrode_and_window():
    cube, spoken = power(), words()
    clean = epoch(cube, spoken)
    cube[2] = np.nan
    cube[4, 205] = np.nan
    epochs = epoch(cube, spoken)
    assert np.isnan(epochs[:, 2]).all()
    here = np.isnan(epochs[:, 4])
    assert 0 < here.sum() <= 4
    others = [0, 1, 3, 5]
    np.testing.assert_array_equal(epochs[:, others], clean[:, others])
    np.testing.assert_array_equal(epochs[:, 4].where(~here), clean[:, 4].where(~here))


@pytest.mark.parametrize("target", ["windows", "mean"])
def test_baseline_is_pooled_over_words_before_the_display(target):
    cube, spoken = power(), words()
    options = {"target": target, "lags": (-0.5, 0.9)}
    epochs = epoch(cube, spoken, baseline=(-0.5, 0.0), **options)
    assert epochs.attrs["units"] == "ln(V/V)"
    assert epochs.attrs["baseline"] == [-0.5, 0.0]
    seconds = cube.time.values
    pooled = [cube.values[:, (seconds >= d - 0.5) & (seconds < d)] for d in spoken.onset.values]
    level = np.concatenate(pooled, axis=1).mean(axis=1)
    raw = epoch(cube, spoken, **options)
    expected = raw - level.reshape(1, -1, *[1] * (raw.ndim - 2))
    np.testing.assert_allclose(epochs, expected, rtol=1e-9, atol=1e-15)
    gain = epoch(cube + np.log(7.0), spoken, **options)
    assert np.abs(gain - raw).min() > 1
    louder = (cube + np.log(7.0)).assign_attrs(cube.attrs)
    np.testing.assert_allclose(
        epoch(louder, spoken, baseline=(-0.5, 0.0), **options), epochs, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_that_of_the_power(dtype):
    cube = power(dtype=dtype)
    assert epoch(cube, words(), baseline=(-0.5, 0.0)).dtype == dtype
    assert epoch(cube.chunk(electrode=2), words(), baseline=(-0.5, 0.0)).dtype == dtype


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lags": (1.0, -0.5)}, "first < last"),
        ({"lags": (0.2, 0.2)}, "first < last"),
        ({"step": 0.0}, "step between"),
        ({"step": 0.001}, "step between"),
        ({"step": 5.0}, "step between"),
        ({"lock": "voices"}, "'display', 'voice'"),
        ({"target": "lag"}, "'mean', 'windows'"),
        ({"baseline": (0.0, -0.5)}, "with samples in it"),
        ({"baseline": (90.0, 91.0)}, "with samples in it"),
    ],
)
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        epoch(power(), words(), **options)


def test_a_baseline_needs_a_logarithm():
    for units in ("V", "as stored"):
        with pytest.raises(OptionError, match="log=True"):
            epoch(power().assign_attrs(units=units), words(), baseline=(-0.5, 0.0))
    with pytest.raises(OptionError, match="baseline=None"):
        epoch(plain(power()).assign_coords(time=power().time), words(), baseline=(-0.5, 0.0))


def test_missing_onsets_are_named():
    with pytest.raises(CubeError, match="voice_onsets"):
        epoch(power(), words(delay=None))
    with pytest.raises(CubeError, match="'onset'"):
        epoch(power(), words().drop_vars("onset"), lock="display")
