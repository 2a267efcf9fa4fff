"""Messages out of a stream's DATA frames: a flag (compressed?), a length (4 bytes, big-endian), and so many bytes."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

import numpy as np

from serving.edge.grpc.inflation import Inflating, inflating
from serving.errors import BadRequest, TooLarge
from serving.inference import Buffer

_PREFIX = 5
_HEAD = Struct(">BI")
# Pieces below the first size are gathered up to the second: kept apart, two bytes would take forty.
_SMALL_PIECE = 1024
_GATHERED = 64 * 1024
# A message from this size on is put in its place as it arrives: to join 60 MB at its end holds the loop for 30 ms.
_LARGE = 256 * 1024

# A compressed one is the steps that inflate it, whose time is its reader's to choose.
Message = Buffer | Inflating


def whole(data: bytes, most: int) -> bytes | None:
    """The message, where `data` is all of a stream and holds just one that is not compressed; else None."""
    size = len(data) - _PREFIX
    if size < 0 or data[0] or int.from_bytes(data[1:_PREFIX], "big") != size or size > most:
        return None
    return data[_PREFIX:]


class MessageReader:
    """Collects what arrives, at most `most_messages` of them; a large one is a view of `room`.

    `claim` is told the bytes of a message as they arrive, and may raise; all that a prefix announces must fit when it
    comes, but is given back (by a negative number) until it is there: whoever announces much holds nothing with it.
    Compressed messages are to be inflated up to `most_inflated` bytes, which are those of any message unless told
    otherwise.

    Raises:
        TooLarge: from `feed`; the prefix is over the limit.
        BadRequest: from `feed`; no message can be read from here on.
    """

    __slots__ = (
        "_at",
        "_claim",
        "_claimed",
        "_compressed",
        "_encoding",
        "_have",
        "_left",
        "_most",
        "_most_inflated",
        "_parts",
        "_size",
        "_small",
        "room",
    )

    def __init__(
        self,
        most: int,
        encoding: bytes,
        claim: Callable[[int], None],
        most_inflated: int | None = None,
        most_messages: int | None = None,
    ) -> None:
        self._most = most
        self._most_inflated = most if most_inflated is None else most_inflated
        self._left = most_messages
        self._encoding = encoding
        self._claim = claim
        self._claimed = 0
        self._parts: list[bytes] = []
        self._small = bytearray()
        # Where in the first part the bytes begin that were not taken, and how many all parts have.
        self._at = 0
        self._have = 0
        # Of the message whose prefix was taken.
        self._size: int | None = None
        self._compressed = False
        # Where it is put, if it is large and some of it has come.
        self.room: memoryview | None = None

    @property
    def partial(self) -> int:
        """Bytes of a message that is not complete."""
        return self._have if self._size is None else self._have + _PREFIX

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes."""
        messages: list[Message] = []
        room = self.room
        if room is not None:
            more = data if len(data) <= len(room) - self._have else data[: len(room) - self._have]
            self._fill(room, more)
            if self._have < len(room):
                return messages
            messages.append(self._take(room))
            data = data[len(more) :]
        self._keep(data)
        messages += self._plain()
        while self._whole():
            messages.append(self._take(self._cut()))
            messages += self._plain()
        if self._at:
            # Once for all that were taken: a frame may hold many thousands.
            rest = self._parts[0][self._at :]
            self._parts = [rest] if rest else []
            self._at = 0
        return messages

    def _keep(self, data: bytes) -> None:
        self._have += len(data)
        if self._small or len(data) < _SMALL_PIECE:
            self._small += data
            if len(self._small) < _GATHERED:
                return
            data = bytes(self._small)
            self._small.clear()
        self._parts.append(data)

    def _plain(self) -> list[Message]:
        """What begins the bytes that were not taken: whole messages, not compressed, of which there may be many.

        Measured: 0.3 us each, and 1 us as a message that may come in parts.
        """
        messages: list[Message] = []
        if self._size is not None or self._left is not None or self._have < _PREFIX:
            return messages
        joined, begin, most = self._joined(), self._at, self._most
        at, last = begin, len(joined) - _PREFIX
        while at <= last:
            flag, size = _HEAD.unpack_from(joined, at)
            start = at + _PREFIX
            if flag or size > most or start + size > last + _PREFIX:
                break
            at = start + size
            messages.append(joined[start:at])
        size = at - begin - _PREFIX * len(messages)
        if size:
            self._claim(size)
        self._at = at
        self._have -= at - begin
        return messages

    def _whole(self) -> bool:
        if self._size is None:
            if self._have < _PREFIX:
                return False
            self._size = self._open()
        size, have = self._size, self._have
        if (arrived := min(have, size)) != self._claimed:
            more, self._claimed = arrived - self._claimed, arrived
            self._claim(more)
        if have < size and size >= _LARGE and have >= _GATHERED:
            self._make_room(size)
        return have >= size

    def _make_room(self, size: int) -> None:
        """Left as it is until it is written to: a length that lies costs nothing, where a bytearray is cleared."""
        self.room = np.empty(size, np.uint8).data
        joined, at = self._joined(), self._at
        self.room[: self._have] = joined[at:]
        self._parts = []
        self._at = 0

    def _fill(self, room: memoryview, data: bytes) -> None:
        have = self._have
        self._claim(len(data))
        self._have = self._claimed = have + len(data)
        room[have : self._have] = data

    def _open(self) -> int:
        joined, at = self._joined(), self._at
        flag, size = joined[at], int.from_bytes(joined[at + 1 : at + _PREFIX], "big")
        if flag > 1:
            raise BadRequest(f"a message begins with 0, or with 1 where it is compressed, got {flag}")
        if flag and self._encoding == b"identity":
            raise BadRequest("a message is marked as compressed, but the call has no grpc-encoding")
        if size > self._most:
            raise too_large(size, self._most)
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise BadRequest("the call has more than one message; send a call for each, or use ModelStreamInfer")
        if size:
            self._claim(size)
        self._claimed = size
        self._compressed = bool(flag)
        self._at += _PREFIX
        self._have -= _PREFIX
        return size

    def _cut(self) -> bytes:
        joined, at, size = self._joined(), self._at, self._size or 0
        self._at += size
        # All of `joined` is not copied.
        return joined[at : at + size]

    def _take(self, message: Buffer) -> Message:
        self._have -= len(message)
        self._size = self.room = None
        self._claimed = 0
        return inflating(message, self._most_inflated, self._claim) if self._compressed else message

    def _joined(self) -> bytes:
        if self._small:
            self._parts.append(bytes(self._small))
            self._small.clear()
        if len(self._parts) != 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]


def too_large(size: int, most: int) -> TooLarge:
    """The refusal of a message over the limit."""
    return TooLarge(
        f"a message of {size} bytes is over the limit of {most} (grpc.max_message_mb); split the rows over calls"
    )
