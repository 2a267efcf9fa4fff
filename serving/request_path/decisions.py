"""What an answer decides: its score, and which side of the threshold, or which class, that is."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isnan, prod
from typing import NamedTuple

import numpy as np

from serving.inference import Outputs, Tensor

KINDS: Mapping[str, str] = {
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
}


class Decision(NamedTuple):
    """`chosen` is 1 or 0 for a score at or above the threshold or below it, else the class; None where neither is."""

    score: float
    chosen: int | None


class Decisions:
    """Element `index` of a row of the output `name`, held against `threshold` where there is one.

    Without it the largest element of a row decides, or a whole number as it is.
    """

    def __init__(self, name: str, index: int, threshold: float | None) -> None:
        self._name = name
        self._index = index
        self._threshold = threshold

    def of(self, outputs: Outputs, row: int) -> Decision | None:
        """The decision of one row; None where it has no score."""
        for tensor in outputs.tensors:
            if tensor.name == self._name and self._name:
                return self._decided(tensor, row)
        return None

    def _decided(self, tensor: Tensor, row: int) -> Decision | None:
        kind, width = KINDS.get(tensor.datatype), prod(tensor.shape[1:])
        if kind is None or not tensor.shape or self._index >= width or row >= tensor.shape[0]:
            return None
        values = np.frombuffer(tensor.data, kind, width, row * width * np.dtype(kind).itemsize)
        score = float(values[self._index])
        if self._threshold is not None:
            return Decision(score, int(score >= self._threshold))
        if width > 1:
            return Decision(score, int(values.argmax()))
        return Decision(score, int(values[0]) if values.dtype.kind == "i" else None)


def distance(one: float, other: float) -> float:
    """How far scores are apart: infinitely where one alone is no number."""
    if isnan(one) or isnan(other):
        return 0.0 if isnan(one) and isnan(other) else inf
    return 0.0 if one == other else abs(one - other)
