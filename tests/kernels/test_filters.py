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


def turned(signals):
    out = np.full((scipy.fftpack.next_fast_len(len(signals)), 8), np.nan)
    filters.quadrature(signals, out)
    return out


@settings(deadline=None)
@given(samples=st.integers(2, 400), seed=st.integers(0, 50))
def test_quadrature_is_the_imaginary_part_of_the_analytic_signal(samples, seed):
    signals = np.random.default_rng(seed).standard_normal((samples, 8))
    length = scipy.fftpack.next_fast_len(samples)
    expected = scipy.signal.hilbert(signals, length, axis=0).imag
    np.testing.assert_allclose(turned(signals), expected, atol=1e-13)


def test_quadrature_of_a_modulated_tone_is_a_quarter_behind():
    seconds = np.arange(2000)[:, np.newaxis] / 1000
    modulation = 2 + np.sin(2 * np.pi * np.arange(1, 9) * seconds)
    tones = modulation * np.cos(2 * np.pi * 120 * seconds)
    behind = modulation * np.sin(2 * np.pi * 120 * seconds)
    np.testing.assert_allclose(turned(tones), behind, atol=1e-12)


OPTIONS = {
    "filters": [filters.butterworth((70.0, 170.0), 4, 1024.0)],
    "windows": None,
    "log": False,
    "dtype": np.dtype("float64"),
}


def slow_envelope(signals):
    for sections in [filters.butterworth((70.0, 170.0), 4, 1024.0)]:
        signals = scipy.signal.sosfiltfilt(sections, scipy.signal.detrend(signals), axis=1)
    length = scipy.fftpack.next_fast_len(signals.shape[1])
    return np.abs(scipy.signal.hilbert(signals, length, axis=1)[:, : signals.shape[1]])


@pytest.mark.parametrize("samples", [28, 675, 1201])  # fast lengths: even, odd, even
@pytest.mark.parametrize("electrodes", [1, 4, 7, 8, 9, 17])
def test_band_envelope_of_any_count_of_electrodes(rng, samples, electrodes):
    signals = rng.standard_normal((electrodes, samples)) + rng.uniform(-9, 9, (electrodes, 1))
    expected = slow_envelope(signals)
    assert expected.std() > 0.1
    envelope = filters.band_envelope(signals, np.ones(electrodes), **OPTIONS)
    np.testing.assert_allclose(envelope, expected, rtol=0, atol=1e-13 * expected.max())


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_stored_and_how_it_lies_in_memory_do_not_matter(rng, dtype, order):
    signals = (1000 * rng.standard_normal((9, 600))).astype("int16")
    scale = np.array([1e-6, -1e-6, *np.full(7, 0.25)])
    stored = np.asarray(signals, dtype=dtype, order=order)
    stored.flags.writeable = False
    envelope = filters.band_envelope(stored, scale, **OPTIONS)
    as_double = filters.band_envelope(signals.astype(np.float64), scale, **OPTIONS)
    np.testing.assert_array_equal(envelope, as_double)
    np.testing.assert_allclose(envelope, slow_envelope(signals / scale[:, np.newaxis]), rtol=1e-8)


def test_rows_do_not_feel_each_other(rng):
    signals = rng.standard_normal((11, 600))
    signals[4, 17] = np.nan
    signals[9] = np.inf
    together = filters.band_envelope(signals, np.ones(11), **OPTIONS)
    assert np.isnan(together).all(axis=1).tolist() == [i in (4, 9) for i in range(11)]
    for i in (0, 3, 5, 10):
        alone = filters.band_envelope(signals[i : i + 1], np.ones(1), **OPTIONS)
        np.testing.assert_array_equal(alone[0], together[i])


def test_shortest_is_what_scipy_takes(rng):
    sections = filters.butterworth((70.0, 170.0), 4, 1024.0)
    needed = filters.shortest([sections])
    scipy.signal.sosfiltfilt(sections, rng.standard_normal(needed))
    with pytest.raises(ValueError, match="padlen"):
        scipy.signal.sosfiltfilt(sections, rng.standard_normal(needed - 1))
