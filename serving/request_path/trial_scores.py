"""What a trial looks at in answers: the bin of a row's score, and rows with numbers that are none."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import isnan, prod
from struct import Struct

import numpy as np

from serving.inference import Buffer, Outputs

_FORMATS: Mapping[str, str] = {"FP32": "<f", "FP64": "<d", "INT32": "<i", "INT64": "<q"}
_FLOATS: Mapping[str, str] = {"FP32": "<f4", "FP64": "<f8"}
_NONE: frozenset[int] = frozenset()


class RowScores:
    """Element `index` of each row of the output `name`, put between `edges`, which grow."""

    def __init__(self, name: str, index: int, edges: Sequence[float]) -> None:
        self._name = name
        self._index = index
        self._edges = list(edges)
        self._structs = {datatype: Struct(code) for datatype, code in _FORMATS.items()}

    def bin_of(self, outputs: Outputs, row: int) -> int:
        """The score's bin: 0 below the first edge, one more for each edge that it reaches; -1 where there is none."""
        return self.bins(outputs, [row])[0]

    def bins(self, outputs: Outputs, rows: Sequence[int]) -> list[int]:
        """The bin of each row's score, as `bin_of` has it."""
        for tensor in outputs.tensors:
            if tensor.name == self._name:
                struct = self._structs.get(tensor.datatype)
                width = prod(tensor.shape[1:])
                if struct is None or self._index >= width:
                    break
                return [self._bin(tensor.data, struct, (row * width + self._index) * struct.size) for row in rows]
        return [-1] * len(rows)

    def _bin(self, data: Buffer, struct: Struct, offset: int) -> int:
        if offset + struct.size > len(data):
            return -1
        score = float(struct.unpack_from(data, offset)[0])
        return -1 if isnan(score) else bisect_right(self._edges, score)


def rows_not_finite(outputs: Outputs) -> frozenset[int]:
    """Rows of a batch with a NaN or an infinity in any output of floats."""
    bad = _NONE
    for tensor in outputs.tensors:
        kind = _FLOATS.get(tensor.datatype)
        if kind is None:
            continue
        finite = np.isfinite(np.frombuffer(tensor.data, kind))
        if not finite.all():
            width = max(1, prod(tensor.shape[1:]))
            bad |= frozenset((np.flatnonzero(~finite) // width).tolist())
    return bad
