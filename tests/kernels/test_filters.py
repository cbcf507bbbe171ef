import numpy as np
import pytest
import scipy.fftpack
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft

from hgcube.kernels import filters


@pytest.mark.parametrize(
    ("line", "below", "expected"),
    [
        (50.0, False, [(98, 102), (148, 152)]),
        (50.0, True, [(48, 52), (98, 102), (148, 152)]),
        (60.0, False, [(118, 122)]),
        (60.0, True, [(58, 62), (118, 122)]),
        (200.0, True, []),
    ],
)
def test_line_stops_follow_the_line(line, below, expected):
    assert filters.line_stops(line, (70.0, 170.0), below=below) == expected


@settings(deadline=None)
@given(st.integers(1, 500_000))
def test_transform_lengths_are_those_of_fftpack(samples):
    assert fft.next_fast_len(samples, real=True) == scipy.fftpack.next_fast_len(samples)


@settings(deadline=None)
@given(samples=st.integers(2, 400), seed=st.integers(0, 50))
def test_envelope_is_that_of_the_analytic_signal(samples, seed):
    signals = np.random.default_rng(seed).standard_normal((2, samples))
    length = scipy.fftpack.next_fast_len(samples)
    expected = np.abs(scipy.signal.hilbert(signals, length, axis=1)[:, :samples])
    np.testing.assert_allclose(filters.envelope(signals), expected, atol=1e-12)


def test_envelope_of_a_modulated_tone_is_its_modulation():
    seconds = np.arange(2000) / 1000
    modulation = 2 + np.sin(2 * np.pi * 3 * seconds)
    tone = (modulation * np.cos(2 * np.pi * 120 * seconds))[np.newaxis]
    np.testing.assert_allclose(filters.envelope(tone)[0], modulation, atol=1e-9)


def test_detrend_equals_scipy_and_makes_lines_zero(rng):
    signals = rng.standard_normal((3, 500)) + np.linspace(4, 9, 500)
    np.testing.assert_allclose(
        filters.detrend(signals), scipy.signal.detrend(signals, axis=1), atol=1e-12
    )
    lines = np.stack([np.full(500, 3.3e-5), np.linspace(-1e-3, 7e-3, 500), np.zeros(500)])
    assert (filters.detrend(lines) == 0).all()


def test_rows_do_not_feel_each_other(rng):
    signals = rng.standard_normal((11, 600))
    signals[4, 17] = np.nan
    signals[9] = np.inf
    options = {
        "filters": [filters.butterworth((70.0, 170.0), 4, 1024.0)],
        "windows": None,
        "log": False,
        "dtype": np.dtype("float64"),
    }
    together = filters.band_envelope(signals, np.ones(11), **options)
    assert np.isnan(together).all(axis=1).tolist() == [i in (4, 9) for i in range(11)]
    for i in (0, 3, 5, 10):
        alone = filters.band_envelope(signals[i : i + 1], np.ones(1), **options)
        np.testing.assert_array_equal(alone[0], together[i])


def test_shortest_is_what_scipy_takes(rng):
    sections = filters.butterworth((70.0, 170.0), 4, 1024.0)
    needed = filters.shortest([sections])
    scipy.signal.sosfiltfilt(sections, rng.standard_normal(needed))
    with pytest.raises(ValueError, match="padlen"):
        scipy.signal.sosfiltfilt(sections, rng.standard_normal(needed - 1))
