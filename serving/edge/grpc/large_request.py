"""A large request whose tensors do not all come raw and last: what protobuf has to build is cut out of it."""

from __future__ import annotations

from typing import NamedTuple

from serving.edge.grpc.extent import CONTENTS, INPUT, RAW, Extent
from serving.edge.grpc.rendering import varint
from serving.inference import Buffer

# An input up to this size is parsed with its contents.
_LIGHT = 1024


class LargeRequest(NamedTuple):
    """`head` is the request without its raw contents, which are `raw`, and without the typed ones of large inputs.

    `typed` has, by the place of an input, where its contents stand.
    """

    head: bytes
    raw: list[Buffer]
    typed: dict[int, list[tuple[int, int]]]


def cut_apart(message: Buffer, extent: Extent) -> LargeRequest:
    """What a request is made of, without a copy of what is large in it.

    Raises:
        IndexError: it is none.
        TooLarge: it has more fields, or more beside its values, than a request needs.
    """
    view = memoryview(message)
    head: list[bytes] = []
    raw: list[Buffer] = []
    typed: dict[int, list[tuple[int, int]]] = {}
    inputs = begin = 0
    for tag, start, stop in extent.within(0, len(message)):
        if tag == RAW:
            raw.append(view[start:stop])
        elif tag == INPUT and stop - start > _LIGHT:
            typed[inputs], piece = _without_contents(view, extent, start, stop)
            head.append(b"\x2a" + varint(len(piece)) + piece)
        else:
            extent.keep(stop - begin)
            head.append(bytes(view[begin:stop]))
        inputs += tag == INPUT
        begin = stop
    return LargeRequest(b"".join(head), raw, typed)


def _without_contents(view: memoryview, extent: Extent, start: int, stop: int) -> tuple[list[tuple[int, int]], bytes]:
    contents: list[tuple[int, int]] = []
    rest: list[bytes] = []
    begin = start
    for tag, first, last in extent.within(start, stop):
        if tag == CONTENTS:
            contents.append((first, last))
        else:
            extent.keep(last - begin)
            rest.append(bytes(view[begin:last]))
        begin = last
    return contents, b"".join(rest)
