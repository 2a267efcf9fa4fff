"""Typed contents of a large request in steps: at once 262,144 strings hold the loop for 80 ms, 60 MB of floats for 150.

Fields of contents may be parsed apart from each other, since repeated ones add up (protobuf's wire format): some
thousands at a time. Floats are in a message as they are in a tensor, and are not parsed at all.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from struct import Struct
from typing import NamedTuple

import numpy as np

from serving.edge.binary_elements import string_steps, too_long
from serving.edge.grpc.elements import field_of, too_many, values_of, wrong_count
from serving.edge.grpc.extent import STRING, Extent, Field, fields
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.typed_elements import pack_steps
from serving.inference import ELEMENT_SIZE, Buffer
from serving.protocol.open_inference import InferTensorContents

_LENGTH = Struct("<I")
_STEP = 4096
_STEP_BYTES = 262_144
# The tags of a field's values packed together, and of a single one, which is as long: neither is parsed.
_FLOATS = {"FP32": (0x32, 0x35), "FP64": (0x3A, 0x39)}

Bounds = Sequence[tuple[int, int]]


class Contents(NamedTuple):
    """Typed contents where they stand in a message, in one or several parts, for a tensor of `elements`."""

    name: str
    datatype: str
    elements: int
    message: Buffer
    bounds: Bounds


def typed_steps(contents: Contents, extent: Extent, limits: GrpcLimits) -> Generator[None, None, Buffer]:
    """The steps of `elements.typed`, some below two milliseconds; `extent` counts as much as may be taken.

    Raises:
        BadRequest: as there.
        TooLarge: as there.
    """
    field_of(contents.name, contents.datatype)
    if contents.datatype in _FLOATS:
        return (yield from _floats(contents, extent))
    parts: list[Buffer] = []
    found = 0
    for segment, large in _segments(contents, extent):
        if large:
            parts += _large_string(contents, segment, found, limits)
            found += 1
            continue
        values = values_of(contents.name, contents.datatype, InferTensorContents.FromString(bytes(segment)))
        yield
        if contents.datatype == "BYTES":
            parts.append(b"".join([_LENGTH.pack(len(value)) + value for value in values]))
            yield
        else:
            parts.append((yield from pack_steps(contents.name, contents.datatype, values, found)))
        found += len(values)
    if found != contents.elements:
        raise wrong_count(contents.name, contents.datatype, contents.elements, found)
    if found > limits.max_typed_elements:
        raise too_many(contents.name, contents.datatype, found, limits)
    data = yield from _joined(parts)
    if contents.datatype == "BYTES":
        yield from string_steps(contents.name, found, data, limits.max_string_bytes)
    return data


def _floats(contents: Contents, extent: Extent) -> Generator[None, None, Buffer]:
    view = memoryview(contents.message)
    chunks: list[Buffer] = []
    tags = _FLOATS[contents.datatype]
    for number, (begin, tag, start, stop) in enumerate(_placed(contents)):
        if tag in tags:
            extent.take_float(single=tag == tags[1])
            chunks.append(view[start:stop])
        else:
            extent.take_field(tag, start, stop)
            values_of(contents.name, contents.datatype, InferTensorContents.FromString(bytes(view[begin:stop])))
        if number % _STEP == _STEP - 1:
            yield
    width = ELEMENT_SIZE[contents.datatype]
    if any(len(chunk) % width for chunk in chunks):
        raise IndexError
    found = sum(map(len, chunks)) // width
    if found != contents.elements:
        raise wrong_count(contents.name, contents.datatype, contents.elements, found)
    return (yield from _joined(chunks))


def _joined(parts: Sequence[Buffer]) -> Generator[None, None, Buffer]:
    """One after the other, in a room that is filled step by step; an only part is left where it is."""
    if len(parts) == 1:
        return parts[0]
    room = np.empty(sum(map(len, parts)), np.uint8).data
    position = written = 0
    for number, part in enumerate(parts):
        for start in range(0, len(part), _STEP_BYTES):
            piece = part[start : start + _STEP_BYTES]
            room[position : position + len(piece)] = piece
            position += len(piece)
            if position - written >= _STEP_BYTES:
                written = position
                yield
        if number % _STEP == _STEP - 1:
            yield
    return room


def _placed(contents: Contents) -> Iterator[tuple[int, int, int, int]]:
    """Each field with where it begins."""
    for begin, end in contents.bounds:
        position = begin
        for tag, start, stop in fields(contents.message, begin, end):
            yield position, tag, start, stop
            position = stop


def _segments(contents: Contents, extent: Extent) -> Iterator[tuple[Buffer, bool]]:
    """Parts of it that are parsed apart, each counted before; True with what is a large string and nothing else."""
    message = contents.message
    for begin, end in contents.bounds:
        position = begin
        while position < end:
            start = position
            position = extent.strings(start, end, _STEP)
            for tag, first, last in _some_fields(message, position, end, start):
                extent.take_field(tag, first, last)
                if tag == STRING and last - first >= _STEP_BYTES:
                    yield message[start:position], False
                    yield message[first:last], True
                    start = position = last
                    break
                position = last
            yield message[start:position], False


def _large_string(contents: Contents, string: Buffer, place: int, limits: GrpcLimits) -> tuple[Buffer, ...]:
    """Where it stands, behind its length."""
    if contents.datatype != "BYTES":
        values_of(contents.name, contents.datatype, InferTensorContents(bytes_contents=[b""]))
    if len(string) > limits.max_string_bytes:
        raise too_long(contents.name, place, len(string), limits.max_string_bytes)
    return _LENGTH.pack(len(string)), memoryview(string)


def _some_fields(message: Buffer, position: int, end: int, since: int) -> Iterator[Field]:
    if position - since >= _STEP_BYTES:
        return
    for number, field in enumerate(fields(message, position, end)):
        yield field
        if number >= _STEP // 4 or field[2] - since >= _STEP_BYTES:
            return
