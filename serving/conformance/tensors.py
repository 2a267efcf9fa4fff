"""A tensor as the suite sends and receives it, and when two of them are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serving.conformance.datatypes import DATATYPES, Array, to_bytes, to_json


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """`values` are flat, row-major."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Array

    def row(self, number: int) -> Tensor:
        """One row, with the first dimension kept."""
        size = len(self.values) // self.shape[0]
        part = self.values[number * size : (number + 1) * size]
        return Tensor(self.name, self.datatype, (1, *self.shape[1:]), part)

    def as_json(self) -> dict[str, object]:
        """An entry of `inputs` with its data."""
        return {**self.head(), "data": to_json(self.values)}

    def as_binary(self) -> tuple[dict[str, object], bytes]:
        """An entry of `inputs` whose data follows, and that data."""
        data = to_bytes(self.values)
        return {**self.head(), "parameters": {"binary_data_size": len(data)}}, data

    def head(self) -> dict[str, object]:
        """Name, shape and datatype."""
        return {"name": self.name, "shape": list(self.shape), "datatype": self.datatype}


Tensors = Mapping[str, Tensor]


def same(expected: Tensor, got: Tensor) -> str:
    """What differs, "" where nothing does; NaN is NaN, 0.0 and -0.0 differ where both came as bytes."""
    if got.datatype != expected.datatype:
        return f"output {got.name!r} has datatype {got.datatype}, not {expected.datatype}"
    if got.shape != expected.shape:
        return f"output {got.name!r} has shape {list(got.shape)}, not {list(expected.shape)}"
    if equal(expected.values, got.values):
        return ""
    return f"output {got.name!r} has {shown(got)}, not {shown(expected)}"


def equal(one: Array, other: Array) -> bool:
    """Element by element; NaN is NaN."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.array_equal(one, other, equal_nan=True))
    return bool(np.array_equal(one, other))


def close(one: Array, other: Array) -> bool:
    """Equal up to how sums of floats round: one row and many may run through different kernels."""
    if one.dtype.kind != "f" or one.shape != other.shape:
        return equal(one, other)
    tolerance = 1e-2 if one.dtype.itemsize == np.dtype("<f2").itemsize else 1e-5
    return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True))


def shown(tensor: Tensor) -> str:
    """Its first values."""
    return f"{tensor.values[:8].tolist()}"


def product(shape: Sequence[int]) -> int:
    """How many elements a shape has."""
    count = 1
    for size in shape:
        count *= size
    return count


def made(name: str, datatype: str, shape: Sequence[int], values: Sequence[object]) -> Tensor:
    """A tensor of these values."""
    return Tensor(name, datatype, tuple(shape), DATATYPES[datatype].array(list(values)))
