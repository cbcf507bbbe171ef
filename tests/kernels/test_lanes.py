import numpy as np
import pytest
import scipy.signal

from hgcube.kernels import filters
from hgcube.kernels.compiled import announced
from hgcube.kernels.windows import segment_means

RATE = 1024.0
MARGIN = 120


@pytest.fixture(scope="module")
def lanes():
    return announced("lanes")


def laid_out(lanes, rows):
    """Rows as lanes, with room on both sides that holds no number."""
    room = lanes.empty_lanes(rows.shape[1] + 2 * MARGIN)
    room[:] = np.nan
    room[MARGIN:-MARGIN, : len(rows)] = rows.T
    return room


def filtered(lanes, rows, sections):
    room = laid_out(lanes, rows)
    padding, *cascade = filters._cascade(sections)
    lanes.zero_phase(room, MARGIN, MARGIN + rows.shape[1], padding, *cascade)
    return room[MARGIN:-MARGIN, : len(rows)].T.copy()


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize(("edges", "stop"), [((70.0, 170.0), False), ((98.0, 102.0), True)])
def test_zero_phase_is_sosfiltfilt_of_any_order(lanes, rng, order, edges, stop):
    rows = rng.standard_normal((8, 3000)) + rng.uniform(-50, 50, (8, 1))
    sections = filters.butterworth(edges, order, RATE, stop=stop)
    assert len(sections) == order
    expected = scipy.signal.sosfiltfilt(sections, rows, axis=1)
    assert np.abs(expected - rows).max() > 0.1
    np.testing.assert_allclose(
        filtered(lanes, rows, sections), expected, rtol=0, atol=2e-13 * np.abs(rows).max()
    )


@pytest.mark.parametrize("samples", [28, 29, 1000])
def test_the_shortest_recording_is_filtered_too(lanes, rng, samples):
    sections = filters.butterworth((70.0, 170.0), 4, RATE)
    rows = rng.standard_normal((8, samples))
    assert filters.shortest([sections]) == 28
    expected = scipy.signal.sosfiltfilt(sections, rows, axis=1)
    np.testing.assert_allclose(filtered(lanes, rows, sections), expected, atol=1e-13)


def test_a_lane_feels_no_other_to_the_last_bit(lanes, rng):
    sections = filters.butterworth((98.0, 102.0), 5, RATE, stop=True)
    row = rng.standard_normal(2000)
    alone = filtered(lanes, np.stack([row, *np.zeros((7, 2000))]), sections)[0]
    for place in range(8):
        rows = 10.0 ** rng.uniform(-9, 9, (8, 1)) * rng.standard_normal((8, 2000))
        rows[(place + 1) % 8] = np.nan
        rows[(place + 2) % 8] = np.inf
        rows[place] = row
        np.testing.assert_array_equal(filtered(lanes, rows, sections)[place], alone)


def test_filters_scale_exactly_with_a_power_of_two(lanes, rng):
    sections = filters.butterworth((70.0, 170.0), 4, RATE)
    rows = rng.standard_normal((8, 500))
    doubled = filtered(lanes, 2.0**-20 * rows, sections)
    np.testing.assert_array_equal(doubled, 2.0**-20 * filtered(lanes, rows, sections))


def test_lanes_start_on_cache_lines(lanes):
    for samples in (1, 7, 1000):
        room = lanes.empty_lanes(samples)
        assert room.shape == (samples, lanes.LANES)
        assert room.flags.c_contiguous
        assert room.ctypes.data % 64 == 0


def test_detrend_equals_scipy_and_leaves_no_line(lanes, rng):
    rows = rng.standard_normal((8, 5000)) + np.linspace(4, 9, 5000) + rng.uniform(-9, 9, (8, 1))
    signals = np.ascontiguousarray(rows.T)
    assert lanes.detrend(signals, 1e-12).all()
    np.testing.assert_allclose(signals, scipy.signal.detrend(rows, axis=1).T, atol=1e-12)
    # what is left is orthogonal to every line
    assert np.abs(signals.mean(axis=0)).max() < 1e-14
    assert np.abs(np.linspace(-1, 1, 5000) @ signals / 5000).max() < 1e-14


def test_a_line_becomes_zero_and_bad_lanes_are_told(lanes, rng):
    ramp = np.linspace(-1e-3, 7e-3, 300_000)
    signals = rng.standard_normal((ramp.size, 8))
    signals[:, 0] = 3.3e-5
    signals[:, 1] = ramp
    signals[:, 2] = 0.0
    signals[17, 4] = np.nan
    signals[99, 5] = -np.inf
    signals[:, 6] = ramp + 1e-9 * signals[:, 6]
    finite = lanes.detrend(signals, 1e-12)
    assert finite.tolist() == [True] * 4 + [False] * 2 + [True] * 2
    assert (signals == 0).all(axis=0).tolist() == [True] * 3 + [False, True, True] + [False] * 2
    assert signals[:, 6].std() == pytest.approx(1e-9, rel=0.01)


def test_amplitudes_are_hypotenuses(lanes, rng):
    signals, quadrature = rng.standard_normal((300, 8)), rng.standard_normal((320, 8))
    expected = np.hypot(signals, quadrature[:300])
    lanes.amplitudes(signals, quadrature)
    np.testing.assert_allclose(signals, expected, rtol=1e-15)


def test_means_equal_those_of_numpy_and_stay_in_their_segment(lanes, rng):
    signals = lanes.empty_lanes(900)
    signals[:] = rng.standard_normal((900, 8))
    starts = rng.integers(0, 850, 300)
    segments = np.stack([starts, starts + rng.integers(1, 50, 300)], axis=1)

    def means():
        out = lanes.empty_lanes(300)
        lanes.means(signals, segments, out)
        return out

    clean = means()
    np.testing.assert_allclose(clean.T, segment_means(signals.T, *segments.T), atol=1e-14)
    signals[200, 3], signals[500, 3] = np.nan, 1e17
    touched = ((segments[:, :1] <= [200, 500]) & (segments[:, 1:] > [200, 500])).any(axis=1)
    assert 0 < touched.sum() < 300
    spoiled = means()
    np.testing.assert_array_equal(spoiled[~touched], clean[~touched])
    np.testing.assert_array_equal(np.delete(spoiled, 3, axis=1), np.delete(clean, 3, axis=1))
    assert (spoiled[touched, 3] != clean[touched, 3]).all()
