"""Eight electrodes in one vector: detrending and zero-phase filters, compiled by numba.

A recursive filter cannot be spread over time, so electrodes share the instructions: sample i of
eight of them is row i of a (samples, 8) array and one vector of eight numbers. Left alone, the
compiler keeps a filter's state in memory, which costs more than the filter; so the vector is a
type of its own here, `_Vector`, whose variables stay in registers (one of AVX-512, two of AVX, four
of NEON). A lane gets the same instructions whatever the others hold: an electrode's numbers depend
on no other electrode, to the last bit, as long as all eight lanes are always computed.

Imported by `hgcube.kernels.compiled.announced` only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, models, register_model

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Indices = np.ndarray[Any, np.dtype[np.integer[Any]]]

LANES = 8
"""Electrodes in a vector."""

ROWS = 4
"""Electrodes in one call of the Fourier transform, which takes them as rows."""

SECTIONS = 4
"""Second-order sections run in one sweep: what fits into the registers of AVX-512."""

_LINE = 64
"""Bytes of a cache line: a vector that crosses two is read twice."""

_NUMBER = np.dtype(np.float64).itemsize

_TILE = 512
"""Samples summed before they are added to the rest: keeps sums of long recordings exact enough."""

_IR_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


class _Vector(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("eight_float64")


_VECTOR = _Vector()


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _IR_VECTOR)


def _address(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    start = context.make_array(kind)(context, builder, array).data
    offset = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(start, [offset]), _IR_VECTOR.as_pointer())


def _called(builder: Any, name: str, *values: Any) -> Any:
    kind = ir.FunctionType(_IR_VECTOR, [_IR_VECTOR] * len(values))
    function = get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f64")
    return builder.call(function, values)


@intrinsic
def _load(_: Any, array: Any, _row: Any) -> Any:
    """Read a row of a C-contiguous (samples, 8) array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        read = builder.load(_address(context, builder, signature.args[0], *values))
        read.align = _NUMBER
        return read

    return _VECTOR(array, types.intp), generate


@intrinsic
def _store(_: Any, array: Any, _row: Any, _vector: Any) -> Any:
    """Write a row of a C-contiguous (samples, 8) array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = _address(context, builder, signature.args[0], *values[:2])
        builder.store(values[2], address, align=_NUMBER)
        return context.get_dummy_value()

    return types.void(array, types.intp, _VECTOR), generate


@intrinsic
def _spread(_: Any, _number: Any) -> Any:
    """Put one number into all lanes."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        index = ir.IntType(32)
        vector = ir.Constant(_IR_VECTOR, ir.Undefined)
        vector = builder.insert_element(vector, values[0], index(0))
        lanes = ir.Constant(ir.VectorType(index, LANES), [0] * LANES)
        return builder.shuffle_vector(vector, vector, lanes)

    return _VECTOR(types.float64), generate


@intrinsic
def _plus(_: Any, left: Any, right: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.fadd(*values)

    return _VECTOR(left, right), generate


@intrinsic
def _times(_: Any, left: Any, right: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.fmul(*values)

    return _VECTOR(left, right), generate


@intrinsic
def _times_plus(_: Any, left: Any, right: Any, added: Any) -> Any:
    """Multiply and add, in one instruction where the machine has it."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _called(builder, "fmuladd", *values)

    return _VECTOR(left, right, added), generate


@intrinsic
def _larger(_: Any, largest: Any, value: Any) -> Any:
    """Return the larger of `largest` and the size of `value`."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _called(builder, "maxnum", values[0], _called(builder, "fabs", values[1]))

    return _VECTOR(largest, value), generate


@njit(cache=True, nogil=True, forceinline=True)
def _section(values, coefficients, state):  # type: ignore[no-untyped-def]
    """Run one sample through a second-order section (direct form II transposed, as SciPy)."""
    b0, b1, b2, a1, a2 = coefficients
    out = _times_plus(b0, values, state[0])
    first = _times_plus(a1, out, _times_plus(b1, values, state[1]))
    return out, (first, _times_plus(a2, out, _times(b2, values)))


@njit(cache=True, nogil=True, forceinline=True)
def _coefficients(section):  # type: ignore[no-untyped-def]
    return (
        _spread(section[0]),
        _spread(section[1]),
        _spread(section[2]),
        _spread(-section[4]),
        _spread(-section[5]),
    )


@njit(cache=True, nogil=True, forceinline=True)
def _state(steady, edge):  # type: ignore[no-untyped-def]
    return _times(_spread(steady[0]), edge), _times(_spread(steady[1]), edge)


@njit(cache=True, nogil=True)
def _four_sections(lanes, bounds, sections, steady, edge):  # type: ignore[no-untyped-def]
    c0, c1 = _coefficients(sections[0]), _coefficients(sections[1])
    c2, c3 = _coefficients(sections[2]), _coefficients(sections[3])
    start = _load(edge, 0)
    s0, s1 = _state(steady[0], start), _state(steady[1], start)
    s2, s3 = _state(steady[2], start), _state(steady[3], start)
    begin, end, step = bounds
    for i in range(begin, end, step):
        values, s0 = _section(_load(lanes, i), c0, s0)
        values, s1 = _section(values, c1, s1)
        values, s2 = _section(values, c2, s2)
        values, s3 = _section(values, c3, s3)
        _store(lanes, i, values)


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
    first = _times(_spread(-1.0), _load(signals, 0))
    level, slope = _spread(0.0), _spread(0.0)
    for begin in range(0, samples, _TILE):
        total, moment = _spread(0.0), _spread(0.0)
        for i in range(begin, min(begin + _TILE, samples)):
            value = _plus(_load(signals, i), first)
            total = _plus(total, value)
            moment = _times_plus(_spread(i - middle), value, moment)
        level, slope = _plus(level, total), _plus(slope, moment)
    spread = samples * (samples * samples - 1.0) / 12  # sum of (i - middle)^2
    return first, _times(_spread(-1 / samples), level), _times(_spread(-1 / spread), slope)


@njit(cache=True, nogil=True)
def _take_off(signals, summary):  # type: ignore[no-untyped-def]
    first, level, slope = _line(signals)
    middle = (len(signals) - 1) / 2
    size, rest = _spread(0.0), _spread(0.0)
    for i in range(len(signals)):
        value = _load(signals, i)
        size = _larger(size, value)
        value = _times_plus(_spread(i - middle), slope, _plus(_plus(value, first), level))
        rest = _larger(rest, value)
        _store(signals, i, value)
    _store(summary, 0, size)
    _store(summary, 1, rest)
    _store(summary, 2, _plus(level, slope))


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
def amplitudes(lanes, quadrature, first):  # type: ignore[no-untyped-def]
    """Replace the lanes from `first` on by sqrt(signal^2 + quadrature^2).

    Parameters
    ----------
    lanes : numpy.ndarray of float64, shape (samples, 8)
    quadrature : numpy.ndarray, shape (ROWS, samples or more)
    first : int
    """
    for i in range(len(lanes)):
        for row in range(ROWS):
            signal, turned = lanes[i, first + row], np.float64(quadrature[row, i])
            lanes[i, first + row] = np.sqrt(signal * signal + turned * turned)


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
        total = _load(lanes, start)
        for i in range(start + 1, stop):
            total = _plus(total, _load(lanes, i))
        _store(out, segment, _times(_spread(1 / (stop - start)), total))


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
