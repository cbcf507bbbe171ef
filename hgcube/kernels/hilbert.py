"""The Hilbert transform of eight electrodes at once, compiled by numba.

Numbers 2k and 2k + 1 of a signal of even length N are one complex number, so that complex
transforms of M = N / 2 numbers do. Index n = n1 B + n2 goes to k = k1 + A k2 in two rounds of short
transforms, M = A B (Bailey, 1990): A over the columns of the (A, B) table, a turn of each number by
exp(-2 pi i k1 n2 / M), B over its rows. The frequencies are left in that order. The way back is the
same in reverse, real and imaginary parts exchanged, so that two transforms cost three rounds
through memory. The rows k1 and A - k1 hold the frequencies k and M - k, which belong together:

with w = exp(-2 pi i k / N), s = z[k] + conj z[M - k], d = z[k] - conj z[M - k], and a quarter turn
of all frequencies but 0 and N / 2, which become 0,

    z'[k] = (conj(w) s - w d) / 2,    z'[M - k] = -conj(conj(w) s + w d) / 2.

Short transforms are Stockham's, of radix 2 to 5: from one array into the other, no reordering. A
complex number of eight electrodes is two rows of a (samples, 8) array.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hgcube.kernels.vectors import LANES, load, minus, plus, spread, store, times, times_plus

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Complexes = np.ndarray[Any, np.dtype[np.complexfloating[Any, Any]]]
Indices = np.ndarray[Any, np.dtype[np.integer[Any]]]

_COS_72, _SIN_72 = np.cos(2 * np.pi / 5), np.sin(2 * np.pi / 5)
_COS_144, _SIN_144 = np.cos(4 * np.pi / 5), np.sin(4 * np.pi / 5)
_SIN_120 = np.sin(2 * np.pi / 3)


class Plan(NamedTuple):
    """How signals of one length are transformed."""

    down: Indices  # radices of the transforms of columns, and of rows
    across: Indices
    down_roots: Complexes  # (A,), (B,): exp(-2 pi i k / A), ...
    across_roots: Complexes
    turns: Complexes  # (A, B): exp(-2 pi i k1 n2 / M)
    halves: Complexes  # (A, B): exp(-2 pi i (k1 + A k2) / N) / 2 M


@lru_cache(maxsize=2)
def plan(length: int) -> Plan:
    """Return the plan of signals of a length; the last two are kept.

    Parameters
    ----------
    length : int
        Even, without prime factors above 5.

    Returns
    -------
    Plan
    """
    half = length // 2
    down: list[int] = []
    across: list[int] = []
    for radix in _radices(half):
        shorter = down if np.prod(down) <= np.prod(across) else across
        shorter.append(radix)
    n_down, n_across = int(np.prod(down)), int(np.prod(across))
    rows, columns = np.arange(n_down)[:, np.newaxis], np.arange(n_across)
    return Plan(
        np.array(down, dtype=np.intp),
        np.array(across, dtype=np.intp),
        _roots(np.arange(n_down), n_down),
        _roots(columns, n_across),
        _roots(rows * columns, half),
        _roots(rows + n_down * columns, length) / length,
    )


def _radices(length: int) -> list[int]:
    """Return factors of `length`, larger ones first."""
    found: list[int] = []
    for radix in (5, 4, 3, 2):
        while length % radix == 0:
            found.append(radix)
            length //= radix
    return found


def _roots(power: Indices, length: int) -> Complexes:
    """Return exp(-2 pi i power / length), of the angle reduced exactly."""
    angle = 2 * np.pi / length * (power % length)
    roots: Complexes = np.cos(angle) - 1j * np.sin(angle)
    return roots


@njit(cache=True, nogil=True, forceinline=True)
def _get(numbers, i):  # type: ignore[no-untyped-def]
    return load(numbers, 2 * i), load(numbers, 2 * i + 1)


@njit(cache=True, nogil=True, forceinline=True)
def _put(numbers, i, z):  # type: ignore[no-untyped-def]
    store(numbers, 2 * i, z[0])
    store(numbers, 2 * i + 1, z[1])


@njit(cache=True, nogil=True, forceinline=True)
def _sum(a, b):  # type: ignore[no-untyped-def]
    return plus(a[0], b[0]), plus(a[1], b[1])


@njit(cache=True, nogil=True, forceinline=True)
def _difference(a, b):  # type: ignore[no-untyped-def]
    return minus(a[0], b[0]), minus(a[1], b[1])


@njit(cache=True, nogil=True, forceinline=True)
def _ahead(a, b):  # type: ignore[no-untyped-def]
    """Return a + i b."""
    return minus(a[0], b[1]), plus(a[1], b[0])


@njit(cache=True, nogil=True, forceinline=True)
def _behind(a, b):  # type: ignore[no-untyped-def]
    """Return a - i b."""
    return plus(a[0], b[1]), minus(a[1], b[0])


@njit(cache=True, nogil=True, forceinline=True)
def _scaled(number, z):  # type: ignore[no-untyped-def]
    factor = spread(number)
    return times(factor, z[0]), times(factor, z[1])


@njit(cache=True, nogil=True, forceinline=True)
def _scaled_plus(number, z, added):  # type: ignore[no-untyped-def]
    factor = spread(number)
    return times_plus(factor, z[0], added[0]), times_plus(factor, z[1], added[1])


@njit(cache=True, nogil=True, forceinline=True)
def _turned(z, root):  # type: ignore[no-untyped-def]
    """Return z root, a complex number of each lane times one of all lanes."""
    across = times(spread(-root.imag), z[1]), times(spread(root.imag), z[0])
    return _scaled_plus(root.real, z, across)


@njit(cache=True, nogil=True)
def _by_two(source, target, roots, stride, count):  # type: ignore[no-untyped-def]
    apart = stride * count
    for p in range(count):
        root = roots[p * stride]
        for q in range(stride):
            i, o = q + stride * p, q + 2 * stride * p
            a, b = _get(source, i), _get(source, i + apart)
            _put(target, o, _sum(a, b))
            _put(target, o + stride, _turned(_difference(a, b), root))


@njit(cache=True, nogil=True)
def _by_three(source, target, roots, stride, count):  # type: ignore[no-untyped-def]
    apart = stride * count
    for p in range(count):
        root, root2 = roots[p * stride], roots[2 * p * stride]
        for q in range(stride):
            i, o = q + stride * p, q + 3 * stride * p
            a = _get(source, i)
            b, c = _get(source, i + apart), _get(source, i + 2 * apart)
            total, rest = _sum(b, c), _scaled(_SIN_120, _difference(b, c))
            middle = _scaled_plus(-0.5, total, a)
            _put(target, o, _sum(a, total))
            _put(target, o + stride, _turned(_behind(middle, rest), root))
            _put(target, o + 2 * stride, _turned(_ahead(middle, rest), root2))


@njit(cache=True, nogil=True)
def _by_four(source, target, roots, stride, count):  # type: ignore[no-untyped-def]
    apart = stride * count
    for p in range(count):
        root, root2 = roots[p * stride], roots[2 * p * stride]
        root3 = roots[3 * p * stride]
        for q in range(stride):
            i, o = q + stride * p, q + 4 * stride * p
            a, b = _get(source, i), _get(source, i + apart)
            c, d = _get(source, i + 2 * apart), _get(source, i + 3 * apart)
            even, odd = _sum(a, c), _sum(b, d)
            a, b = _difference(a, c), _difference(b, d)
            _put(target, o, _sum(even, odd))
            _put(target, o + stride, _turned(_behind(a, b), root))
            _put(target, o + 2 * stride, _turned(_difference(even, odd), root2))
            _put(target, o + 3 * stride, _turned(_ahead(a, b), root3))


@njit(cache=True, nogil=True)
def _by_five(source, target, roots, stride, count):  # type: ignore[no-untyped-def]
    apart = stride * count
    for p in range(count):
        root, root2 = roots[p * stride], roots[2 * p * stride]
        root3, root4 = roots[3 * p * stride], roots[4 * p * stride]
        for q in range(stride):
            i, o = q + stride * p, q + 5 * stride * p
            a, b, c = _get(source, i), _get(source, i + apart), _get(source, i + 2 * apart)
            d, e = _get(source, i + 3 * apart), _get(source, i + 4 * apart)
            outer, inner = _sum(b, e), _sum(c, d)
            b, c = _difference(b, e), _difference(c, d)
            _put(target, o, _sum(a, _sum(outer, inner)))
            d = _scaled_plus(_COS_144, inner, _scaled_plus(_COS_72, outer, a))
            e = _scaled_plus(_SIN_144, c, _scaled(_SIN_72, b))
            _put(target, o + stride, _turned(_behind(d, e), root))
            _put(target, o + 4 * stride, _turned(_ahead(d, e), root4))
            d = _scaled_plus(_COS_72, inner, _scaled_plus(_COS_144, outer, a))
            e = _scaled_plus(-_SIN_72, c, _scaled(_SIN_144, b))
            _put(target, o + 2 * stride, _turned(_behind(d, e), root2))
            _put(target, o + 3 * stride, _turned(_ahead(d, e), root3))


@njit(cache=True, nogil=True)
def _short(source, target, radices, roots):  # type: ignore[no-untyped-def]
    """Transform `source` by way of `target`; return the array of the result, and the other."""
    count, stride = len(roots), 1
    for radix in radices:
        count //= radix
        if radix == 5:
            _by_five(source, target, roots, stride, count)
        elif radix == 4:
            _by_four(source, target, roots, stride, count)
        elif radix == 3:
            _by_three(source, target, roots, stride, count)
        else:
            _by_two(source, target, roots, stride, count)
        stride *= radix
        source, target = target, source
    return source, target


@njit(cache=True, nogil=True)
def _columns(numbers, radices, roots, across, exchange):  # type: ignore[no-untyped-def]
    """Transform the columns in place; exchange real and imaginary parts of the result if asked."""
    down = len(roots)
    source, target = np.empty((2 * down, LANES)), np.empty((2 * down, LANES))
    for n2 in range(across):
        for n1 in range(down):
            _put(source, n1, _get(numbers, n1 * across + n2))
        result, _ = _short(source, target, radices, roots)
        for k1 in range(down):
            z = _get(result, k1)
            if exchange:
                z = z[1], z[0]
            _put(numbers, k1 * across + n2, z)


@njit(cache=True, nogil=True)
def _row_there(numbers, row, turns, source):  # type: ignore[no-untyped-def]
    across = len(turns)
    for n2 in range(across):
        _put(source, n2, _turned(_get(numbers, row * across + n2), turns[n2]))


@njit(cache=True, nogil=True)
def _row_back(numbers, row, turns, result):  # type: ignore[no-untyped-def]
    across = len(turns)
    for n2 in range(across):
        _put(numbers, row * across + n2, _turned(_get(result, n2), turns[n2]))


@njit(cache=True, nogil=True)
def _quarter_turn(upper, lower, halves, pairs, shift):  # type: ignore[no-untyped-def]
    """Turn the frequencies k of `upper` and M - k of `lower`; exchange their parts."""
    across = len(halves)
    for k2 in range(pairs):
        other = (across - shift - k2) % across
        z, partner = _get(upper, k2), _get(lower, other)
        s = plus(z[0], partner[0]), minus(z[1], partner[1])
        d = minus(z[0], partner[0]), plus(z[1], partner[1])
        s, d = _turned(s, halves[k2].conjugate()), _turned(d, halves[k2])
        z, partner = _difference(s, d), _sum(s, d)
        _put(lower, other, (partner[1], minus(spread(0.0), partner[0])))
        _put(upper, k2, (z[1], z[0]))


@njit(cache=True, nogil=True)
def _row(numbers, k1, plan):  # type: ignore[no-untyped-def]
    """Turn a row whose frequencies are each other's partners."""
    across = len(plan.across_roots)
    source, target = np.empty((2 * across, LANES)), np.empty((2 * across, LANES))
    _row_there(numbers, k1, plan.turns[k1], source)
    row, spare = _short(source, target, plan.across, plan.across_roots)
    shift = min(k1, 1)
    _quarter_turn(row, row, plan.halves[k1], (across + 2 - shift) // 2, shift)
    if k1 == 0:
        row[:2] = 0.0
    result, _ = _short(row, spare, plan.across, plan.across_roots)
    _row_back(numbers, k1, plan.turns[k1], result)


@njit(cache=True, nogil=True)
def _two_rows(numbers, k1, plan, room):  # type: ignore[no-untyped-def]
    """Turn the rows k1 and A - k1."""
    partner = len(plan.down_roots) - k1
    _row_there(numbers, k1, plan.turns[k1], room[0])
    _row_there(numbers, partner, plan.turns[partner], room[2])
    upper, upper_spare = _short(room[0], room[1], plan.across, plan.across_roots)
    lower, lower_spare = _short(room[2], room[3], plan.across, plan.across_roots)
    _quarter_turn(upper, lower, plan.halves[k1], len(plan.across_roots), 1)
    upper, _ = _short(upper, upper_spare, plan.across, plan.across_roots)
    lower, _ = _short(lower, lower_spare, plan.across, plan.across_roots)
    _row_back(numbers, k1, plan.turns[k1], upper)
    _row_back(numbers, partner, plan.turns[partner], lower)


@njit(cache=True, nogil=True)
def transform(signals, plan):  # type: ignore[no-untyped-def]
    """Replace signals by their Hilbert transform, the imaginary part of `scipy.signal.hilbert`.

    Parameters
    ----------
    signals : numpy.ndarray of float64, shape (length, 8)
        C-contiguous.
    plan : Plan
        Of their length.
    """
    down, across = plan.turns.shape
    _columns(signals, plan.down, plan.down_roots, across, False)
    _row(signals, 0, plan)
    room = np.empty((4, 2 * across, LANES))
    for k1 in range(1, (down + 1) // 2):
        _two_rows(signals, k1, plan, room)
    if down % 2 == 0:
        _row(signals, down // 2, plan)
    _columns(signals, plan.down, plan.down_roots, across, True)
