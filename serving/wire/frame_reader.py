"""Cuts a stream of bytes into frames, however the bytes arrive, and reads nothing that is over the limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from serving.errors import StreamRefused
from serving.wire.frame import COUNTED_HEAD_BYTES, HEAD, HEAD_BYTES, KINDS, STRANGERS_FRAME_BYTES, Frame

_ALIGNMENT = 8


class FrameReader:
    """Keeps what is left of an unfinished frame between two reads.

    A frame that arrives in one read is not copied; one that arrives in several is put together once, in a buffer of its
    own size, which a blocking reader can fill itself (`room`, `filled`).
    """

    __slots__ = ("_filled", "_head", "_large", "limit")

    def __init__(self, limit: int = STRANGERS_FRAME_BYTES) -> None:
        self.limit = limit
        self._head = b""
        self._large: memoryview | None = None
        self._filled = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete, to be taken to the end before more is fed.

        One after the other: a welcome raises the limit for the catalogue that arrives with it.

        Raises:
            StreamRefused: the bytes are no frames, or one is longer than `limit`.
        """
        position = 0
        if self._large is not None:
            position = min(len(data), len(self._large) - self._filled)
            self._large[self._filled : self._filled + position] = memoryview(data)[:position]
            yield from self.filled(position)
        elif self._head:
            data = self._head + data
            self._head = b""
        end = len(data)
        while end - position >= HEAD_BYTES:
            length, kind, flags, slot, batch_id = HEAD.unpack_from(data, position)
            self._check(length, kind, flags)
            stop = position + 4 + length
            if stop > end:
                self._begin_large(data, position, 4 + length)
                return
            if position % _ALIGNMENT:
                yield Frame(kind, slot, batch_id, data[position:stop], HEAD_BYTES, 4 + length)
            else:
                yield Frame(kind, slot, batch_id, data, position + HEAD_BYTES, stop)
            position = stop
        if position < end:
            self._head = data[position:]

    def room(self) -> memoryview | None:
        """Where the rest of a frame that has begun belongs; None between frames."""
        return None if self._large is None else self._large[self._filled :]

    def filled(self, count: int) -> tuple[Frame, ...]:
        """So many bytes were written into `room`; the frame, if that completes it."""
        large = self._large
        self._filled += count
        if large is None or self._filled < len(large):
            return ()
        self._large = None
        _, kind, _, slot, batch_id = HEAD.unpack_from(large)
        return (Frame(kind, slot, batch_id, large, HEAD_BYTES, len(large)),)

    def _check(self, length: int, kind: int, flags: int) -> None:
        if kind not in KINDS or flags or length < COUNTED_HEAD_BYTES:
            raise StreamRefused("the peer sent bytes that are no frames of the tensor stream")
        if 4 + length > self.limit:
            raise StreamRefused(f"the peer sent a frame of {4 + length} bytes; the limit is {self.limit}")

    def _begin_large(self, data: bytes, position: int, size: int) -> None:
        # Left as it is until it is written to: a bytearray is filled with zeros first, 7 ms for 16 MB.
        self._large = np.empty(size, np.uint8).data
        self._filled = len(data) - position
        self._large[: self._filled] = memoryview(data)[position:]
