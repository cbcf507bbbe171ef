import numpy as np
import pytest
import scipy.signal

from hgcube.kernels.compiled import announced


@pytest.fixture(scope="module")
def hilbert():
    return announced("hilbert")


def transformed(hilbert, signals):
    turned = signals.copy()
    hilbert.transform(turned, hilbert.plan(len(signals)))
    return turned


def fast_even_lengths(limit):
    fives = [2 * 2**a * 3**b * 5**c for a in range(11) for b in range(7) for c in range(5)]
    return sorted(length for length in fives if length <= limit)


def test_every_fast_even_length_is_transformed(hilbert, rng):
    lengths = fast_even_lengths(1100)
    assert len(lengths) > 60
    shapes = set()
    for length in lengths:
        signals = rng.standard_normal((length, 8)) + 3
        expected = scipy.signal.hilbert(signals, axis=0).imag
        np.testing.assert_allclose(transformed(hilbert, signals), expected, atol=2e-14)
        shapes.add(tuple(size % 2 for size in hilbert.plan(length).turns.shape))
    assert len(shapes) == 4  # odd and even counts of rows and columns: other partners


def test_a_long_signal_is_as_exact_as_with_scipy(hilbert, rng):
    signals = rng.standard_normal((153_600, 8))
    expected = scipy.signal.hilbert(signals, axis=0).imag
    np.testing.assert_allclose(transformed(hilbert, signals), expected, atol=3e-14)


def test_two_turns_are_the_negative_without_mean_and_fastest(hilbert, rng):
    signals = rng.standard_normal((1200, 8))
    fastest = (-1.0) ** np.arange(1200)[:, np.newaxis]
    rest = signals - signals.mean(axis=0) - fastest * (signals * fastest).mean(axis=0)
    twice = transformed(hilbert, transformed(hilbert, signals))
    np.testing.assert_allclose(twice, -rest, atol=1e-14)


def test_a_lane_feels_no_other_to_the_last_bit(hilbert, rng):
    signal = rng.standard_normal(720)
    alone = np.zeros((720, 8))
    alone[:, 0] = signal
    expected = transformed(hilbert, alone)[:, 0]
    for place in range(8):
        signals = 10.0 ** rng.uniform(-9, 9, 8) * rng.standard_normal((720, 8))
        signals[:, (place + 1) % 8] = np.nan
        signals[:, place] = signal
        np.testing.assert_array_equal(transformed(hilbert, signals)[:, place], expected)
