# SPDX-License-Identifier: MIT
"""The two innermost loops of the kernels, in explicit vector instructions: a tile of a matrix product, and a sweep for
nearest neighbours.

LLVM's loop vectoriser does not keep a tile of the result in registers, which costs a factor of four on products of
small matrices. Numba lets us write those few instructions ourselves; types of a fixed vector length stay portable,
since LLVM maps them to what the processor has.
"""

from __future__ import annotations

import math

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

__all__ = ["SWEEP_ROWS", "TILE_COLUMNS", "TILE_ROWS", "multiply_tile", "nearest_sweep"]

_LANES = 8
_WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))
# 8 x 16 fills sixteen of the 32 registers of AVX-512; 4 x 8 eight of AVX2's sixteen. Both hide the latency of
# multiply-add.
TILE_ROWS = 8 if _WIDE else 4
TILE_COLUMNS = 16 if _WIDE else 8


SWEEP_ROWS = 4


def _element(builder, data, row_length, row, column):
    """Pointer to an element of a matrix."""
    return builder.gep(data, [builder.add(builder.mul(row, row_length), column)])


def _broadcast(builder, scalar, vector):
    """A vector with the same number in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    splat = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, undefined, splat)


def _minimum(builder, a, b):
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


@intrinsic
def multiply_tile(typing_context, out, a, b, i, j, n):
    """out[i:i + TILE_ROWS, j:j + TILE_COLUMNS] = a[i:i + TILE_ROWS, :n] @ b[:n, j:j + TILE_COLUMNS].

    Matrices are float64 and C-contiguous; indices are not checked.
    """
    for array in (out, a, b):
        if not (
            isinstance(array, types.Array) and array.ndim == 2 and array.layout == "C" and array.dtype == types.float64
        ):
            raise TypingError("multiply_tile needs C-contiguous float64 matrices")
    signature = types.void(out, a, b, types.int64, types.int64, types.int64)

    def codegen(context, builder, signature, arguments):
        double, word = ir.DoubleType(), ir.IntType(64)
        vector = ir.VectorType(double, _LANES)
        n_vectors = TILE_COLUMNS // _LANES
        (out_data, out_row), (a_data, a_row), (b_data, b_row) = (
            (array.data, cgutils.unpack_tuple(builder, array.shape)[1])
            for array in (make_array(t)(context, builder, x) for t, x in zip(signature.args[:3], arguments[:3]))
        )
        i, j, n = arguments[3:]

        def element(data, row_length, row, column):
            return _element(builder, data, row_length, row, column)

        def vector_at(pointer):
            return builder.bitcast(pointer, vector.as_pointer())

        zero = ir.Constant(vector, [0.0] * _LANES)
        totals = [[cgutils.alloca_once_value(builder, zero) for _ in range(n_vectors)] for _ in range(TILE_ROWS)]
        rows = [builder.add(i, ir.Constant(word, r)) for r in range(TILE_ROWS)]
        columns = [builder.add(j, ir.Constant(word, v * _LANES)) for v in range(n_vectors)]
        with cgutils.for_range(builder, n) as loop:
            k = loop.index
            right = [builder.load(vector_at(element(b_data, b_row, k, column)), align=8) for column in columns]
            for r, row in enumerate(rows):
                left = builder.load(element(a_data, a_row, row, k))
                left = _broadcast(builder, left, vector)
                for v in range(n_vectors):
                    product = builder.fmul(left, right[v], flags=("contract",))
                    total = builder.fadd(builder.load(totals[r][v]), product, flags=("contract",))
                    builder.store(total, totals[r][v])
        for r, row in enumerate(rows):
            for v, column in enumerate(columns):
                target = vector_at(element(out_data, out_row, row, column))
                builder.store(builder.load(totals[r][v]), target, align=8)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def nearest_sweep(typing_context, a, b, nearest_a, nearest_b, i, n, dimensions, periodic):
    """Squared distances of SWEEP_ROWS points of a, from number i on, to all points of b.

    nearest_a[i:i + SWEEP_ROWS] is set to the smallest over b; nearest_b[:] is lowered to the smallest over these
    points.

    Parameters
    ----------
    a, b: float32 or float64 [dimensions, ...], C-contiguous
    n: a multiple of 64 bytes
    dimensions: literal integer
    periodic: literal 0 or 1; the last coordinate is an angle in [0, 2 pi)
    """
    if not (isinstance(dimensions, types.IntegerLiteral) and isinstance(periodic, types.IntegerLiteral)):
        raise TypingError("nearest_sweep needs literal dimensions and periodic")
    signature = types.void(a, b, nearest_a, nearest_b, types.int64, types.int64, dimensions, periodic)
    n_dimensions, last_is_angle = dimensions.literal_value, bool(periodic.literal_value)

    def codegen(context, builder, signature, arguments):
        real = ir.FloatType() if signature.args[0].dtype == types.float32 else ir.DoubleType()
        lanes = 16 if signature.args[0].dtype == types.float32 else 8
        vector, word = ir.VectorType(real, lanes), ir.IntType(64)
        arrays = [make_array(t)(context, builder, x) for t, x in zip(signature.args[:4], arguments[:4])]
        a_row, b_row = (cgutils.unpack_tuple(builder, array.shape)[1] for array in arrays[:2])
        i, n = arguments[4:6]
        circle = ir.Constant(vector, [2 * math.pi] * lanes)
        zero = ir.Constant(vector, [0.0] * lanes)
        rows = [builder.add(i, ir.Constant(word, r)) for r in range(SWEEP_ROWS)]
        axes = [ir.Constant(word, k) for k in range(n_dimensions)]
        points = [
            [_broadcast(builder, builder.load(_element(builder, arrays[0].data, a_row, k, row)), vector) for k in axes]
            for row in rows
        ]
        far = ir.Constant(vector, [1e30] * lanes)
        best = [cgutils.alloca_once_value(builder, far) for _ in rows]

        def vector_at(pointer):
            return builder.bitcast(pointer, vector.as_pointer())

        with cgutils.for_range(builder, builder.udiv(n, ir.Constant(word, lanes))) as loop:
            j = builder.mul(loop.index, ir.Constant(word, lanes))
            others = [builder.load(vector_at(_element(builder, arrays[1].data, b_row, k, j)), align=4) for k in axes]
            near_pointer = vector_at(builder.gep(arrays[3].data, [j]))
            near = builder.load(near_pointer, align=4)
            for r in range(SWEEP_ROWS):
                total = None
                for k in range(n_dimensions):
                    difference = builder.fsub(points[r][k], others[k])
                    if last_is_angle and k == n_dimensions - 1:
                        negative = _minimum(builder, difference, builder.fsub(zero, difference))
                        difference = _minimum(builder, builder.fadd(circle, negative), builder.fsub(zero, negative))
                    square = builder.fmul(difference, difference, flags=("contract",))
                    total = square if total is None else builder.fadd(total, square, flags=("contract",))
                near = _minimum(builder, total, near)
                builder.store(_minimum(builder, total, builder.load(best[r])), best[r])
            builder.store(near, near_pointer, align=4)
        for r, row in enumerate(rows):
            value, width = builder.load(best[r]), lanes
            while width > 1:  # fold the upper half of the lanes onto the lower
                width //= 2
                half = [*range(width, 2 * width)]
                fold = ir.Constant(ir.VectorType(ir.IntType(32), lanes), half + [0] * (lanes - width))
                value = _minimum(builder, builder.shuffle_vector(value, value, fold), value)
            smallest = builder.extract_element(value, ir.Constant(ir.IntType(32), 0))
            builder.store(smallest, builder.gep(arrays[2].data, [row]))
        return context.get_dummy_value()

    return signature, codegen
