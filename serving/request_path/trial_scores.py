"""What a trial looks at in answers: the bins of rows' scores, and rows with numbers that are none.

Looking at one number after the other cost half of all that is counted, so it is done by columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.inference import Outputs, Tensor

Scores = NDArray[np.float32 | np.float64 | np.int32 | np.int64]

_FLOATS: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
_NUMBERS: Mapping[str, np.dtype[Any]] = {**_FLOATS, "INT32": np.dtype("<i4"), "INT64": np.dtype("<i8")}
_NONE: frozenset[int] = frozenset()


class RowScores:
    """Element `index` of each row of the output `name`, put between `edges`, which grow."""

    def __init__(self, name: str, index: int, edges: Sequence[float]) -> None:
        self._name = name
        self._index = index
        self._edges = np.array(edges, np.float64)

    def of(self, outputs: Outputs, rows: Sequence[int]) -> Scores | None:
        """The score of each of these rows, which grow; NaN where a row has none, None where the output has none."""
        for tensor in outputs.tensors:
            if tensor.name == self._name:
                column = self._column(tensor)
                return None if column is None else _of_rows(column, rows)
        return None

    def bins(self, scores: Scores) -> list[int]:
        """The bin of each: 0 below the first edge, one more for each edge that it reaches; -1 for what is no number."""
        found = self._edges.searchsorted(scores, "right")
        found[np.isnan(scores)] = -1
        return list(found.tolist())

    def count(self, scores: Scores) -> list[int]:
        """How many are in each bin."""
        counts = np.bincount(self._edges.searchsorted(scores, "right"), minlength=len(self._edges) + 1)
        # What is no number is sorted behind all that are.
        counts[-1] -= np.count_nonzero(np.isnan(scores))
        return list(counts.tolist())

    def _column(self, tensor: Tensor) -> Scores | None:
        kind, width = _NUMBERS.get(tensor.datatype), prod(tensor.shape[1:])
        if kind is None or self._index >= width:
            return None
        values: Scores = np.frombuffer(tensor.data, kind, len(tensor.data) // kind.itemsize)
        return values[self._index :: width]


def _of_rows(column: Scores, rows: Sequence[int]) -> Scores:
    last, count = rows[-1], len(column)
    if last == len(rows) - 1 < count:
        # Each row of the batch, from its first on.
        return column[: last + 1]
    if last < count:
        return column[rows]
    return np.array([float(column[row]) if row < count else np.nan for row in rows])


def rows_not_finite(outputs: Outputs) -> frozenset[int]:
    """Rows of a batch with a NaN or an infinity in any output of floats."""
    bad = _NONE
    for tensor in outputs.tensors:
        kind = _FLOATS.get(tensor.datatype)
        if kind is None:
            continue
        finite = np.isfinite(np.frombuffer(tensor.data, kind))
        # In a fifth of the microsecond that `all` takes.
        if b"\0" in finite.tobytes():
            width = max(1, prod(tensor.shape[1:]))
            bad |= frozenset((np.flatnonzero(~finite) // width).tolist())
    return bad
