import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hgcube.kernels.windows import locked_means, pooled_mean, segment_means, sliding_windows


@settings(deadline=None)
@given(
    n_samples=st.integers(0, 4000),
    rate=st.floats(50, 3000),
    window=st.floats(0.03, 0.3),
    step=st.floats(0.02, 0.3),
)
def test_windows_stay_inside_and_are_all_there(n_samples, rate, window, step):
    starts, stops = sliding_windows(n_samples, rate, window, step)
    assert len(starts) == max(0, int(np.floor((n_samples - window * rate) / (step * rate))))
    assert (np.diff(starts) >= 0).all()
    assert (stops > starts).all()
    assert not len(stops) or stops[-1] <= n_samples


@settings(deadline=None)
@given(seed=st.integers(0, 100), n_samples=st.integers(1, 60), n_segments=st.integers(1, 12))
def test_segment_means_equal_a_loop(seed, n_samples, n_segments):
    rng = np.random.default_rng(seed)
    signals = rng.standard_normal((3, n_samples))
    bounds = np.sort(rng.integers(0, n_samples + 1, size=(n_segments, 2)), axis=1)
    means = segment_means(signals, bounds[:, 0], bounds[:, 1])
    for j, (start, stop) in enumerate(bounds):
        expected = signals[:, start:stop].mean(axis=1) if stop > start else np.full(3, np.nan)
        np.testing.assert_allclose(means[:, j], expected, rtol=1e-12, atol=1e-14)


def test_an_artefact_or_nan_stays_in_its_segment(rng):
    signals = rng.standard_normal((1, 30))
    starts, stops = np.array([[0, 10], [20, 15]]), np.array([[10, 20], [30, 25]])
    clean = segment_means(signals, starts, stops)
    spoiled = signals.copy()
    spoiled[0, 3], spoiled[0, 12] = 1e17, np.nan
    means = segment_means(spoiled, starts, stops)
    np.testing.assert_array_equal(means[0, 1], clean[0, 1])
    assert np.isnan(means[0, 0, 1])
    assert means.shape == (1, 2, 2)


def test_float32_is_summed_in_double():
    signals = np.full((1, 100_001), 0.1, dtype=np.float32)
    signals[0, 0] = 1e6
    means = segment_means(signals, np.array([0]), np.array([100_001]))
    assert means.dtype == np.float32
    assert means[0, 0] == pytest.approx(np.float64(signals).mean(), rel=1e-6)


def test_pooled_mean_leaves_out_what_is_not_finite():
    signals = np.array([[1.0, 2.0, np.nan, 5.0], [np.nan] * 4])
    pooled = pooled_mean(signals, np.array([0, 1]), np.array([3, 4]))
    np.testing.assert_allclose(pooled, [(1 + 2 + 2 + 5) / 4, np.nan])


def test_locked_means_subtract_each_rows_own_level(rng):
    signals = rng.standard_normal((2, 40)) + np.array([[3.0], [-5.0]])
    starts, stops = np.array([10, 25]), np.array([20, 31])
    baseline = (np.array([0]), np.array([10]))
    means = locked_means(signals, starts=starts, stops=stops, baseline=baseline)
    shifted = locked_means(
        signals + np.array([[100.0], [7.0]]), starts=starts, stops=stops, baseline=baseline
    )
    np.testing.assert_allclose(means, shifted, atol=1e-12)
    expected = signals[:, 10:20].mean(axis=1) - signals[:, :10].mean(axis=1)
    np.testing.assert_allclose(means[:, 0], expected)
