"""Checks of tensors that arrive as bytes: sizes, truth values, and the lengths in front of BYTES elements.

Rows of several callers are joined into one batch, so bytes that do not fit their own shape would shift another caller's
values: what passes here fills its shape exactly. Both edges take raw tensors and check them by this file.
"""

from __future__ import annotations

from struct import Struct

import numpy as np

from serving.errors import BadRequest
from serving.inference import ELEMENT_SIZE, Buffer

_LENGTH = Struct("<I")
_TRUTHS = b"\0\1"
# Up to this size a translation costs less than an array.
_SMALL = 4096


def check_elements(name: str, datatype: str, count: int, data: Buffer, longest_string: int) -> None:
    """Whether `data` is `count` elements of `datatype`, little-endian and in BYTES each after its length (uint32).

    Raises:
        BadRequest: names the input, and what its bytes should be.
    """
    size = ELEMENT_SIZE[datatype]
    if size:
        if len(data) != size * count:
            raise BadRequest(
                f"input {name!r}: {count} values of {datatype} are {size * count} bytes, but it has {len(data)}"
            )
        if datatype == "BOOL" and not _all_truths(data):
            raise BadRequest(f"input {name!r}: a BOOL is one byte, 0 or 1")
        return
    check_strings(name, count, data, longest_string)


def check_strings(name: str, count: int, data: Buffer, longest: int) -> None:
    """Whether `data` is `count` BYTES elements of at most `longest` bytes, each UTF-8 as ONNX's strings are.

    Raises:
        BadRequest: names the input and the element.
    """
    # Where no byte is above 127 every element is UTF-8, and one look at all is quicker than one at each.
    ascii_only = bytes(data).isascii()
    end = len(data)
    position = 0
    for index in range(count):
        start = position + 4
        if start > end:
            raise BadRequest(f"input {name!r}: its bytes end at element {index} of {count}")
        length = _LENGTH.unpack_from(data, position)[0]
        position = start + length
        if position > end:
            raise BadRequest(f"input {name!r}: its bytes end within element {index} of {count}, of {length} bytes")
        if length > longest:
            raise too_long(name, index, length, longest)
        if not ascii_only:
            _check_text(name, index, data[start:position])
    if position != end:
        raise BadRequest(
            f"input {name!r}: {end - position} bytes are left after its {count} elements; "
            "in binary each element is a length (uint32, little-endian) and that many bytes"
        )


def too_long(name: str, index: int, length: int, longest: int) -> BadRequest:
    """The refusal of a BYTES element over the limit."""
    return BadRequest(
        f"input {name!r}: element {index} has {length} bytes; a BYTES element may have {longest} "
        "(http.max_string_bytes)"
    )


def _check_text(name: str, index: int, element: Buffer) -> None:
    try:
        str(element, "utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"input {name!r}: element {index} is not UTF-8, which ONNX strings have to be ({error.reason}); "
            "encode binary values as text, for example in base64"
        ) from None


def _all_truths(data: Buffer) -> bool:
    if len(data) <= _SMALL:
        return not bytes(data).translate(None, _TRUTHS)
    return int(np.frombuffer(data, np.uint8).max()) <= 1
