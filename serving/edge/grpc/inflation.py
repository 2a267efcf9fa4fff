"""A compressed message inflated in steps: at once 16 MB hold the loop for 50 ms."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator

import numpy as np

from serving.errors import BadRequest, TooLarge
from serving.inference import Buffer

# zlib takes gzip and deflate for what they are.
_AUTOMATIC = 32 + zlib.MAX_WBITS
# Most messages are over with the first step, which is done where they are read; a further one takes a millisecond.
_FIRST = 16_384
_STEP = 262_144
# The input is cut, since zlib copies what it leaves over.
_INPUT = 65_536

Inflating = Generator[None, None, Buffer]


def inflating(message: Buffer, most: int, claim: Callable[[int], None]) -> Inflating:
    """The message inflated, up to `most` bytes: a small one never becomes more than any may be.

    `claim` is told what it takes beyond the bytes of `message`, as it grows; in the end its own size is claimed.

    Raises:
        BadRequest: it is none, or ends too early.
        TooLarge: it is more than `most` bytes.
        Overloaded: from `claim`.
    """
    inflater = zlib.decompressobj(_AUTOMATIC)
    rest = memoryview(message)
    room: memoryview | None = None
    size, claimed = 0, len(message)
    while True:
        given: Buffer = inflater.unconsumed_tail
        if not given:
            given, rest = rest[:_INPUT], rest[_INPUT:]
        piece = _inflated(inflater, given, min(_STEP if size else _FIRST, most + 1 - size))
        size += len(piece)
        if size > most:
            raise _too_large(most)
        if size > claimed:
            claim(size - claimed)
            claimed = size
        if inflater.eof and room is None:
            claim(size - claimed)
            return piece
        if not piece and not given:
            raise BadRequest("a compressed message ends too early")
        if room is None:
            # Left as it is until it is written to, so that it takes no more than what is inflated.
            room = np.empty(most, np.uint8).data
        room[size - len(piece) : size] = piece
        if inflater.eof:
            claim(size - claimed)
            return room[:size]
        yield


def _inflated(inflater: zlib._Decompress, given: Buffer, most: int) -> bytes:
    try:
        return inflater.decompress(given, most)
    except zlib.error as error:
        raise BadRequest(f"a message cannot be inflated: {error}") from None


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"a compressed message is more than {most} bytes when inflated (grpc.max_inflated_mb); "
        "send it uncompressed, or split the rows over calls"
    )
