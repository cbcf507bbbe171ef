"""Eight float64 as one number of a compiled kernel: one electrode per lane.

Left alone, numba keeps the state of eight filters, or of eight Fourier transforms, in memory, which
costs more than the arithmetic. Variables of the type made here stay in registers: one of AVX-512,
two of AVX, four of NEON. Sample i of eight electrodes is row i of a C-contiguous (samples, 8)
array. A lane gets the same instructions whatever the others hold: an electrode's numbers depend on
no other electrode, to the last bit, as long as all eight lanes are always computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, models, register_model

LANES = 8
"""Electrodes in a vector."""

_NUMBER = np.dtype(np.float64).itemsize

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
def load(_: Any, array: Any, _row: Any) -> Any:
    """Read a row of a C-contiguous (samples, 8) array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        read = builder.load(_address(context, builder, signature.args[0], *values))
        read.align = _NUMBER
        return read

    return _VECTOR(array, types.intp), generate


@intrinsic
def store(_: Any, array: Any, _row: Any, _vector: Any) -> Any:
    """Write a row of a C-contiguous (samples, 8) array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = _address(context, builder, signature.args[0], *values[:2])
        builder.store(values[2], address, align=_NUMBER)
        return context.get_dummy_value()

    return types.void(array, types.intp, _VECTOR), generate


@intrinsic
def spread(_: Any, _number: Any) -> Any:
    """Put one number into all lanes."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        index = ir.IntType(32)
        vector = ir.Constant(_IR_VECTOR, ir.Undefined)
        vector = builder.insert_element(vector, values[0], index(0))
        lanes = ir.Constant(ir.VectorType(index, LANES), [0] * LANES)
        return builder.shuffle_vector(vector, vector, lanes)

    return _VECTOR(types.float64), generate


@intrinsic
def plus(_: Any, left: Any, right: Any) -> Any:
    """Add."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.fadd(*values)

    return _VECTOR(left, right), generate


@intrinsic
def minus(_: Any, left: Any, right: Any) -> Any:
    """Subtract."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.fsub(*values)

    return _VECTOR(left, right), generate


@intrinsic
def times(_: Any, left: Any, right: Any) -> Any:
    """Multiply."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.fmul(*values)

    return _VECTOR(left, right), generate


@intrinsic
def times_plus(_: Any, left: Any, right: Any, added: Any) -> Any:
    """Multiply and add, in one instruction where the machine has it."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _called(builder, "fmuladd", *values)

    return _VECTOR(left, right, added), generate


@intrinsic
def larger(_: Any, largest: Any, value: Any) -> Any:
    """Return the larger of `largest` and the size of `value`."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _called(builder, "maxnum", values[0], _called(builder, "fabs", values[1]))

    return _VECTOR(largest, value), generate


@intrinsic
def square_root(_: Any, _value: Any) -> Any:
    """Take the square root."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _called(builder, "sqrt", *values)

    return _VECTOR(_VECTOR), generate
