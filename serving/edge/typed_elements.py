"""Values of one tensor, as JSON and typed contents have them, to its bytes, each checked for its datatype."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from struct import Struct

from serving.errors import BadRequest

# More values than this are packed piece by piece, so that one call never spreads a million arguments.
_PIECE = 4096
_SHOWN = 40

_CODES: Mapping[str, str] = {
    "FP32": "f",
    "FP64": "d",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
}
_RANGES: Mapping[str, tuple[int, int]] = {
    f"{sign}INT{bits}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}
_LENGTH = Struct("<I")

Pack = Callable[..., bytes]


@lru_cache(maxsize=2048)
def packer(code: str, count: int) -> Pack:
    """`struct.pack` for `count` little-endian values, compiled once (0.6 us for 32 floats)."""
    return Struct(f"<{count}{code}").pack


def pack(name: str, datatype: str, values: Sequence[object], booleans: bool) -> bytes:  # noqa: FBT001 - see codec.py
    """Bytes of a flat list of JSON values, little-endian; BYTES elements get their length (uint32) in front.

    `booleans` tells that the document contains `true` or `false` somewhere: struct takes them for numbers, and looking
    at each value's type costs more than packing it, so it is done only then.

    Raises:
        BadRequest: names the first value that does not fit, and what would.
    """
    code = _CODES.get(datatype)
    if code is None:
        return _pack_other(name, datatype, values)
    if booleans and bool in map(type, values):
        raise _misfit(name, datatype, values)
    try:
        if len(values) <= _PIECE:
            return packer(code, len(values))(*values)
        pieces = (values[start : start + _PIECE] for start in range(0, len(values), _PIECE))
        return b"".join([packer(code, len(piece))(*piece) for piece in pieces])
    except (struct.error, OverflowError, TypeError):
        raise _misfit(name, datatype, values) from None


def pack_steps(name: str, datatype: str, values: Sequence[object], first: int = 0) -> Generator[None, None, bytes]:
    """The steps of `pack` for whole numbers or truths, none of them of another kind; `first` is the first one's place.

    Raises:
        BadRequest: as `pack` does.
    """
    parts = []
    for start in range(0, len(values), _PIECE):
        piece = values[start : start + _PIECE]
        try:
            made = bytes(piece) if datatype == "BOOL" else packer(_CODES[datatype], len(piece))(*piece)  # type: ignore[arg-type]
        except (struct.error, OverflowError, TypeError):
            raise _misfit(name, datatype, piece, first + start) from None
        parts.append(made)
        yield
    return b"".join(parts)


def shown(value: object) -> str:
    """A JSON value as a message shows it: short, whatever was sent."""
    if isinstance(value, list):
        return "an array"
    if isinstance(value, dict):
        return "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _pack_other(name: str, datatype: str, values: Sequence[object]) -> bytes:
    if datatype == "BOOL":
        for position, value in enumerate(values):
            if type(value) is not bool:
                raise _wrong(name, datatype, position, value)
        return bytes(values)  # type: ignore[arg-type]
    if datatype == "BYTES":
        return b"".join([_prefixed(name, position, value) for position, value in enumerate(values)])
    if datatype in ("FP16", "BF16"):
        raise BadRequest(f"input {name!r}: {datatype} has no form in JSON; send it in binary (`binary_data_size`)")
    known = ", ".join([*_CODES, "BOOL", "BYTES"])
    raise BadRequest(f"input {name!r}: unknown datatype {shown(datatype)}; known are {known}")


def _prefixed(name: str, position: int, value: object) -> bytes:
    if type(value) is not str:
        raise _wrong(name, "BYTES", position, value)
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded


def _misfit(name: str, datatype: str, values: Sequence[object], first: int = 0) -> BadRequest:
    """Which value struct refused: looked for only once it is known that there is one."""
    code = _CODES[datatype]
    for position, value in enumerate(values, first):
        if type(value) is bool:
            return _wrong(name, datatype, position, value)
        try:
            packer(code, 1)(value)
        except (struct.error, OverflowError, TypeError):
            return _wrong(name, datatype, position, value)
    return BadRequest(f"input {name!r}: the values do not fit {datatype}")


def _wrong(name: str, datatype: str, position: int, value: object) -> BadRequest:
    return BadRequest(f"input {name!r}: value {position} must be {_wanted(datatype, value)}, got {shown(value)}")


def _wanted(datatype: str, value: object) -> str:
    if datatype == "BYTES":
        return "a string"
    if datatype == "BOOL":
        return "true or false"
    limits = _RANGES.get(datatype)
    if limits is not None:
        return f"an integer from {limits[0]} to {limits[1]} ({datatype})"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"a number that {datatype} can hold"
    return f"a number ({datatype})"
