# SPDX-License-Identifier: MIT
"""A register-blocked tile of a matrix product, in explicit vector instructions.

LLVM's loop vectoriser does not keep a tile of the result in registers, which costs a factor of four on products of
small matrices. Numba lets us write those few instructions ourselves; types of a fixed vector length stay portable,
since LLVM maps them to what the processor has.
"""

from __future__ import annotations

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

__all__ = ["TILE_COLUMNS", "TILE_ROWS", "multiply_tile"]

_LANES = 8
_WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))
# 8 x 16 fills sixteen of the 32 registers of AVX-512; 4 x 8 eight of AVX2's sixteen. Both hide the latency of
# multiply-add.
TILE_ROWS = 8 if _WIDE else 4
TILE_COLUMNS = 16 if _WIDE else 8


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
            return builder.gep(data, [builder.add(builder.mul(row, row_length), column)])

        def vector_at(pointer):
            return builder.bitcast(pointer, vector.as_pointer())

        zero = ir.Constant(vector, [0.0] * _LANES)
        totals = [[cgutils.alloca_once_value(builder, zero) for _ in range(n_vectors)] for _ in range(TILE_ROWS)]
        rows = [builder.add(i, ir.Constant(word, r)) for r in range(TILE_ROWS)]
        columns = [builder.add(j, ir.Constant(word, v * _LANES)) for v in range(n_vectors)]
        splat = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
        with cgutils.for_range(builder, n) as loop:
            k = loop.index
            right = [builder.load(vector_at(element(b_data, b_row, k, column)), align=8) for column in columns]
            for r, row in enumerate(rows):
                left = builder.load(element(a_data, a_row, row, k))
                one = builder.insert_element(ir.Constant(vector, ir.Undefined), left, ir.Constant(ir.IntType(32), 0))
                left = builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), splat)
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
