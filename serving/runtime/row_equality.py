"""Whether a row got the same answer alone and among others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.inference import TensorSpec
from serving.runtime.bfloat16 import BF16, values_of
from serving.runtime.tensor_arrays import Array

Rows = Sequence[Array]

# One row and many are multiplied by different kernels that add in another order. A sum of n products then differs by
# at most n * u of its terms' magnitude (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1);
# n = 1,024 with float32's epsilon. float64 gets the same: such outputs are often computed in float32 and cast.
_TOLERANCE = {"FP32": 1024 * 2.0**-23, "FP64": 1024 * 2.0**-23, "FP16": 16 * 2.0**-10, "BF16": 4 * 2.0**-7}


def differing(outputs: Sequence[TensorSpec], together: Rows, alone: Sequence[Rows]) -> str:
    """Names the first output whose row `i` of `together` is not what `alone[i]` says; empty when all are.

    Floats may differ by the tolerance above, relative to the largest magnitude in that row's output; NaN equals NaN.
    Everything else has to be equal.
    """
    for column, spec in enumerate(outputs):
        for row, answer in enumerate(alone):
            if not same(spec.datatype, together[column][row], answer[column][0]):
                return f"row {row} gets another {spec.name!r} alone than among {len(alone)} rows"
    return ""


def told_apart(outputs: Sequence[TensorSpec], alone: Sequence[Rows]) -> bool:
    """Some two rows got different answers; otherwise rows could be swapped and nobody would notice."""
    return any(
        not same(spec.datatype, alone[0][column], answer[column])
        for column, spec in enumerate(outputs)
        for answer in alone[1:]
    )


def same(datatype: str, left: Array, right: Array) -> bool:
    """Equal shapes and values, floats within the tolerance of their datatype."""
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape:
        return False
    if datatype == BF16:
        left, right = values_of(left), values_of(right)
    tolerance = _TOLERANCE.get(datatype)
    if tolerance is None:
        return bool(np.array_equal(left, right))
    finite = np.abs(right[np.isfinite(right)].astype(np.float64))
    largest = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(left, right, rtol=0.0, atol=tolerance * largest, equal_nan=True))
