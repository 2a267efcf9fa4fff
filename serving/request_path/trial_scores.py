"""What a trial looks at in answers: the bin of a row's score, and rows with numbers that are none."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import isnan, prod
from struct import Struct

import numpy as np

from serving.inference import Outputs

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
        for tensor in outputs.tensors:
            if tensor.name == self._name:
                struct = self._structs.get(tensor.datatype)
                width = prod(tensor.shape[1:])
                if struct is None or self._index >= width:
                    return -1
                offset = (row * width + self._index) * struct.size
                if offset + struct.size > len(tensor.data):
                    return -1
                score = float(struct.unpack_from(tensor.data, offset)[0])
                return -1 if isnan(score) else bisect_right(self._edges, score)
        return -1


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
