"""Checks of tensors that arrive as bytes: sizes, truth values, and the lengths in front of BYTES elements.

Rows of several callers are joined into one batch, so bytes that do not fit their own shape would shift another caller's
values: what passes here fills its shape exactly. Both edges take raw tensors and check them by this file.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from struct import Struct

import numpy as np

from serving.errors import BadRequest
from serving.inference import ELEMENT_SIZE, Buffer

_LENGTH = Struct("<I")
_TRUTHS = b"\0\1"
# Up to this size a translation costs less than an array.
_SMALL = 4096
_LAST_OF_ASCII = 127
# A step of 4,096 strings takes 1 ms, and so does reading 256 KB of text.
_STEP = 4096
_STEP_BYTES = 262_144
_TEXT = codecs.getincrementaldecoder("utf-8")


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
    for _ in string_steps(name, count, data, longest):
        pass


def at_once(datatype: str, count: int, data: Buffer) -> bool:
    """Whether the elements can be checked within a millisecond, or are better checked by `string_steps`."""
    return datatype != "BYTES" or (count <= _STEP and len(data) <= _STEP_BYTES)


def string_steps(name: str, count: int, data: Buffer, longest: int) -> Iterator[None]:
    """The steps of `check_strings`, below two milliseconds each."""
    # Where no byte is above 127 every element is UTF-8, and one look at all is quicker than one at each.
    ascii_only = _all_ascii(data)
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
            yield from _text_steps(name, index, data[start:position])
        if index % _STEP == _STEP - 1:
            yield
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


def _text_steps(name: str, index: int, element: Buffer) -> Iterator[None]:
    try:
        if len(element) <= _STEP_BYTES:
            str(element, "utf-8")
            return
        decoder = _TEXT()
        for start in range(0, len(element), _STEP_BYTES):
            decoder.decode(element[start : start + _STEP_BYTES], final=start + _STEP_BYTES >= len(element))
            yield
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"input {name!r}: element {index} is not UTF-8, which ONNX strings have to be ({error.reason}); "
            "encode binary values as text, for example in base64"
        ) from None


def _all_ascii(data: Buffer) -> bool:
    if len(data) <= _SMALL:
        return bytes(data).isascii()
    return int(np.frombuffer(data, np.uint8).max()) <= _LAST_OF_ASCII


def _all_truths(data: Buffer) -> bool:
    if len(data) <= _SMALL:
        return not bytes(data).translate(None, _TRUTHS)
    return int(np.frombuffer(data, np.uint8).max()) <= 1
