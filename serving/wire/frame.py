"""The frame of the tensor stream: sixteen bytes of head, little-endian, then a payload.

`u32 length of what follows · u8 kind · u8 flags (0) · u16 slot · u64 batch id`. A slot is the server's short name for a
version, told by its catalogue. Lengths of RUN, RESULT and of frames without payload are multiples of eight, so that
elements stand aligned in the buffer they arrive in.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from serving.inference import Buffer

CHALLENGE: Final = 1
HELLO: Final = 2
WELCOME: Final = 3
REFUSED: Final = 4
CATALOGUE: Final = 5
RUN: Final = 6
CANCEL: Final = 7
RESULT: Final = 8
FAILED: Final = 9
PING: Final = 10
PONG: Final = 11
GOAWAY: Final = 12
BEGUN: Final = 13
KINDS: Final = frozenset(range(CHALLENGE, BEGUN + 1))

HEAD: Final = Struct("<IBBHQ")
HEAD_BYTES: Final = HEAD.size
# Of the head, what the length counts.
COUNTED_HEAD_BYTES: Final = HEAD_BYTES - 4

# Before a peer has proven that it knows the secret, nothing longer is read from it.
STRANGERS_FRAME_BYTES: Final = 4096
DEFAULT_FRAME_BYTES: Final = 64 * 1024 * 1024 + 4096


class Frame(NamedTuple):
    """A frame as it arrived: its payload is `data[start:stop]`, where `data` may hold other frames too."""

    kind: int
    slot: int
    batch_id: int
    data: Buffer
    start: int
    stop: int

    @property
    def payload(self) -> bytes:
        """A copy of the payload; the hot path reads `data` in place."""
        return bytes(self.data[self.start : self.stop])


def encode(kind: int, payload: bytes = b"", *, slot: int = 0, batch_id: int = 0) -> bytes:
    """One whole frame."""
    return HEAD.pack(COUNTED_HEAD_BYTES + len(payload), kind, 0, slot, batch_id) + payload
