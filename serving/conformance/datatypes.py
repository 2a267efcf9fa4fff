"""The protocol's datatypes: how their values look in JSON and in bytes, and values that show a wrong conversion.

Sources: Open Inference Protocol, inference_rest.md, "Tensor Data Types"; Triton's extension_binary_data.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Datatype:
    """`dtype` holds its values: little-endian; BF16 by its bits, since NumPy has no such type; BYTES as objects."""

    name: str
    dtype: np.dtype[Any]
    in_json: bool = True

    @property
    def integer(self) -> bool:
        """It has a range to be kept to."""
        return "INT" in self.name

    @property
    def lowest(self) -> int:
        """The smallest integer."""
        return int(np.iinfo(self.dtype).min)

    @property
    def highest(self) -> int:
        """The largest integer."""
        return int(np.iinfo(self.dtype).max)

    def telling(self) -> list[Any]:
        """Four values that JSON can carry and that a wrong width, sign or rounding changes."""
        return _TELLING[self.name] if self.name in _TELLING else [self.lowest, self.highest, 0, self.highest // 3]

    def bits(self) -> Array:
        """Four values that only bytes carry in full: NaN, infinity, minus zero; text with NUL in it."""
        given = _BITS.get(self.name)
        return self.array(given) if given is not None else self.array(self.telling())

    def array(self, values: list[Any]) -> Array:
        """Values as an array of this type."""
        if self.name == "BYTES":
            made = np.empty(len(values), dtype=object)
            made[:] = [value.encode() if isinstance(value, str) else value for value in values]
            return made
        return np.array(values, dtype=self.dtype)

    def plain(self, row: int = 0) -> Any:  # noqa: ANN401 - of any datatype
        """A harmless value that every model of this type should take; another one for each row where there are two."""
        if self.name == "BYTES":
            return b"a" if row % 2 == 0 else b"b"
        if self.name == "BOOL":
            return row % 2 == 0
        if self.name == "BF16":
            return 0x3F80 if row % 2 == 0 else 0
        return row % 2


def to_json(array: Array) -> list[Any]:
    """Flat values as JSON has them; bytes must be UTF-8."""
    flat = array.ravel().tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in flat]


def to_bytes(array: Array) -> bytes:
    """Row-major, little-endian, without padding; BYTES elements each behind their length of four bytes."""
    if array.dtype == object:
        return b"".join(struct.pack("<I", len(element)) + element for element in array.ravel().tolist())
    return array.tobytes()


def from_bytes(datatype: Datatype, data: bytes) -> Array:
    """The reverse of `to_bytes`.

    Raises:
        ValueError: the bytes are no whole number of elements.
    """
    if datatype.name != "BYTES":
        return np.frombuffer(data, datatype.dtype)
    elements, position = [], 0
    while position < len(data):
        if position + 4 > len(data):
            raise ValueError("the length of an element is cut off")
        (length,) = struct.unpack_from("<I", data, position)
        position += 4
        if position + length > len(data):
            raise ValueError("an element reaches beyond the end")
        elements.append(data[position : position + length])
        position += length
    return datatype.array(elements)


def from_json(datatype: Datatype, values: list[Any]) -> Array:
    """Flat JSON values as an array.

    Raises:
        ValueError: a value that the datatype does not have.
    """
    wrong = [value for value in values if not _fits(datatype, value)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no value of {datatype.name}")
    return datatype.array(values)


def _fits(datatype: Datatype, value: object) -> bool:
    if datatype.name == "BYTES":
        return isinstance(value, str)
    if datatype.name == "BOOL":
        return isinstance(value, bool)
    if datatype.integer:
        return type(value) is int and datatype.lowest <= value <= datatype.highest
    return type(value) in (int, float)


_FP32_LARGE = float(np.finfo(np.float32).max)
_TELLING: dict[str, list[Any]] = {
    "BOOL": [True, False, False, True],
    "FP16": [0.5, -2.0, 65504.0, 0.0],
    "BF16": [0x3F80, 0xC000, 0x0000, 0x4049],
    # 0.1 as a float32 and not as a double; the largest; the smallest normal one.
    "FP32": [float(np.float32(0.1)), -_FP32_LARGE, float(np.finfo(np.float32).tiny), 16_777_217.0 - 1],
    "FP64": [0.1, -1.7976931348623157e308, 5e-324, 9_007_199_254_740_993.0],
    "BYTES": ["", "plain", 'quote " and \\ and \n', "\u00e4 \u6f22 \U0001f600"],
}
_BITS: dict[str, list[Any]] = {
    "FP16": [float("nan"), float("inf"), -0.0, 6e-8],
    "BF16": [0x7FC0, 0xFF80, 0x8000, 0x0001],
    "FP32": [float("nan"), float("-inf"), -0.0, 1e-45],
    "FP64": [float("nan"), float("-inf"), -0.0, 5e-324],
    # Text that breaks who reads up to a NUL, or counts characters.
    "BYTES": [b"", b"a\0b\0", "\u00e4 \u6f22 \U0001f600".encode(), bytes(range(128)) * 3],
}

DATATYPES = {
    one.name: one
    for one in (
        Datatype("BOOL", np.dtype("?")),
        Datatype("UINT8", np.dtype("u1")),
        Datatype("UINT16", np.dtype("<u2")),
        Datatype("UINT32", np.dtype("<u4")),
        Datatype("UINT64", np.dtype("<u8")),
        Datatype("INT8", np.dtype("i1")),
        Datatype("INT16", np.dtype("<i2")),
        Datatype("INT32", np.dtype("<i4")),
        Datatype("INT64", np.dtype("<i8")),
        Datatype("FP16", np.dtype("<f2"), in_json=False),
        Datatype("BF16", np.dtype("<u2"), in_json=False),
        Datatype("FP32", np.dtype("<f4")),
        Datatype("FP64", np.dtype("<f8")),
        Datatype("BYTES", np.dtype(object)),
    )
}
# No text in any encoding of Unicode; models of ONNX, whose strings are text, cannot take them.
NO_TEXT = (b"\xff\xfe\x80", b"a\0b", bytes(range(256)), b"\xc3")
INTEGERS = tuple(one.name for one in DATATYPES.values() if one.integer)
IN_JSON = tuple(one.name for one in DATATYPES.values() if one.in_json)
