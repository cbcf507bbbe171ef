"""Detrending, zero-phase filters and window means of eight electrodes at once, compiled by numba.

A recursive filter cannot be spread over time, so eight electrodes share the instructions: see
`hgcube.kernels.vectors`. Imported by `hgcube.kernels.compiled.announced` only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from hgcube.kernels.vectors import (
    LANES,
    larger,
    load,
    plus,
    spread,
    square_root,
    store,
    times,
    times_plus,
)

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

SECTIONS = 4
"""Second-order sections run in one sweep: what fits into the registers of AVX-512."""

_LINE = 64
"""Bytes of a cache line: a vector that crosses two is read twice."""

_TILE = 512
"""Samples summed before they are added to the rest: keeps sums of long recordings exact enough."""


@njit(cache=True, nogil=True, forceinline=True)
def _section(values, coefficients, state):  # type: ignore[no-untyped-def]
    """Run one sample through a second-order section (direct form II transposed, as SciPy)."""
    b0, b1, b2, a1, a2 = coefficients
    out = times_plus(b0, values, state[0])
    first = times_plus(a1, out, times_plus(b1, values, state[1]))
    return out, (first, times_plus(a2, out, times(b2, values)))


@njit(cache=True, nogil=True, forceinline=True)
def _coefficients(section):  # type: ignore[no-untyped-def]
    return (
        spread(section[0]),
        spread(section[1]),
        spread(section[2]),
        spread(-section[4]),
        spread(-section[5]),
    )


@njit(cache=True, nogil=True, forceinline=True)
def _state(steady, edge):  # type: ignore[no-untyped-def]
    return times(spread(steady[0]), edge), times(spread(steady[1]), edge)


@njit(cache=True, nogil=True)
def _four_sections(lanes, bounds, sections, steady, edge):  # type: ignore[no-untyped-def]
    c0, c1 = _coefficients(sections[0]), _coefficients(sections[1])
    c2, c3 = _coefficients(sections[2]), _coefficients(sections[3])
    start = load(edge, 0)
    s0, s1 = _state(steady[0], start), _state(steady[1], start)
    s2, s3 = _state(steady[2], start), _state(steady[3], start)
    begin, end, step = bounds
    for i in range(begin, end, step):
        values, s0 = _section(load(lanes, i), c0, s0)
        values, s1 = _section(values, c1, s1)
        values, s2 = _section(values, c2, s2)
        values, s3 = _section(values, c3, s3)
        store(lanes, i, values)


@njit(cache=True, nogil=True)
def _sweep(lanes, bounds, sections, steady):  # type: ignore[no-untyped-def]
    edge = lanes[bounds[0] : bounds[0] + 1].copy()
    for group in range(0, len(sections), SECTIONS):
        four = slice(group, group + SECTIONS)
        _four_sections(lanes, bounds, sections[four], steady[four], edge)


@njit(cache=True, nogil=True)
def zero_phase(lanes, begin, end, padding, sections, steady):  # type: ignore[no-untyped-def]
    """Filter forward and backward in place, as `scipy.signal.sosfiltfilt`.

    Parameters
    ----------
    lanes : numpy.ndarray of float64, shape (samples, 8)
        C-contiguous.
    begin, end : int
        The signals are ``lanes[begin:end]``; what lies up to `padding` samples around them is
        overwritten.
    padding : int
        Samples by which the signals are continued at both ends, turned around the end; fewer than
        there are.
    sections : numpy.ndarray of float64, shape (sections, 6)
        Their number a multiple of `SECTIONS`.
    steady : numpy.ndarray of float64, shape (sections, 2)
        State after a long run of ones (`scipy.signal.sosfilt_zi`).
    """
    for i in range(1, padding + 1):
        for lane in range(LANES):
            lanes[begin - i, lane] = 2 * lanes[begin, lane] - lanes[begin + i, lane]
            lanes[end - 1 + i, lane] = 2 * lanes[end - 1, lane] - lanes[end - 1 - i, lane]
    first, last = begin - padding, end - 1 + padding
    _sweep(lanes, (first, last + 1, 1), sections, steady)
    _sweep(lanes, (last, first - 1, -1), sections, steady)


@njit(cache=True, nogil=True)
def _line(signals):  # type: ignore[no-untyped-def]
    """Return what to add, level and slope about the middle, to take off the least-squares line."""
    samples = len(signals)
    middle = (samples - 1) / 2
    # sums of a constant are exact once its value is taken off
    first = times(spread(-1.0), load(signals, 0))
    level, slope = spread(0.0), spread(0.0)
    for begin in range(0, samples, _TILE):
        total, moment = spread(0.0), spread(0.0)
        for i in range(begin, min(begin + _TILE, samples)):
            value = plus(load(signals, i), first)
            total = plus(total, value)
            moment = times_plus(spread(i - middle), value, moment)
        level, slope = plus(level, total), plus(slope, moment)
    squares = samples * (samples * samples - 1.0) / 12  # sum of (i - middle)^2
    return first, times(spread(-1 / samples), level), times(spread(-1 / squares), slope)


@njit(cache=True, nogil=True)
def _take_off(signals, summary):  # type: ignore[no-untyped-def]
    first, level, slope = _line(signals)
    middle = (len(signals) - 1) / 2
    size, rest = spread(0.0), spread(0.0)
    for i in range(len(signals)):
        value = load(signals, i)
        size = larger(size, value)
        value = times_plus(spread(i - middle), slope, plus(plus(value, first), level))
        rest = larger(rest, value)
        store(signals, i, value)
    store(summary, 0, size)
    store(summary, 1, rest)
    store(summary, 2, plus(level, slope))


@njit(cache=True, nogil=True)
def detrend(signals, flat):  # type: ignore[no-untyped-def]
    """Take the least-squares line off each lane, in place.

    Parameters
    ----------
    signals : numpy.ndarray of float64, shape (samples, 8)
        C-contiguous, two samples or more. A lane that is a line, or has a value that is not finite,
        becomes exactly zero.
    flat : float
        A lane whose residual is at most this part of its largest value is a line.

    Returns
    -------
    numpy.ndarray of bool, shape (8,)
        Whether all values of the lane are finite.
    """
    summary = np.empty((3, LANES))
    _take_off(signals, summary)
    finite = np.isfinite(summary[2])
    for lane in range(LANES):
        if not finite[lane] or summary[1, lane] <= flat * summary[0, lane]:
            signals[:, lane] = 0.0
    return finite


@njit(cache=True, nogil=True)
def amplitudes(signals, quadrature):  # type: ignore[no-untyped-def]
    """Replace signals by sqrt(signal^2 + quadrature^2).

    Parameters
    ----------
    signals : numpy.ndarray of float64, shape (samples, 8)
        C-contiguous.
    quadrature : numpy.ndarray of float64, shape (samples or more, 8)
        C-contiguous.
    """
    for i in range(len(signals)):
        signal, turned = load(signals, i), load(quadrature, i)
        store(signals, i, square_root(times_plus(signal, signal, times(turned, turned))))


@njit(cache=True, nogil=True)
def means(lanes, segments, out):  # type: ignore[no-untyped-def]
    """Write the mean of each segment of each lane.

    Parameters
    ----------
    lanes : numpy.ndarray of float64, shape (samples, 8)
        C-contiguous.
    segments : numpy.ndarray of int, shape (segments, 2)
        First sample and the one after the last, never the same; each segment is summed on its own.
    out : numpy.ndarray of float64, shape (segments, 8)
        C-contiguous.
    """
    for segment in range(len(segments)):
        start, stop = segments[segment]
        total = load(lanes, start)
        for i in range(start + 1, stop):
            total = plus(total, load(lanes, i))
        store(out, segment, times(spread(1 / (stop - start)), total))


def empty_lanes(samples: int) -> Floats:
    """Return room for `samples` of eight electrodes, its rows on cache lines.

    Parameters
    ----------
    samples : int

    Returns
    -------
    numpy.ndarray of float64, shape (samples, 8)
    """
    room = np.empty((samples + 1) * LANES)
    skipped = -room.ctypes.data % _LINE // room.itemsize
    return room[skipped : skipped + samples * LANES].reshape(samples, LANES)
