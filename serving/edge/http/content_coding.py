"""Content codings: which are served, which one a client wants, and the two directions of each as plain steps."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from serving.errors import BadRequest
from serving.inference import Buffer

# RFC 9110, section 8.4.1: `deflate` is the zlib format; x-gzip is an old name.
_CODINGS = {b"gzip": b"gzip", b"x-gzip": b"gzip", b"deflate": b"deflate", b"identity": b"", b"": b""}
_WINDOW = {b"gzip": 31, b"deflate": 15}
SERVED = "gzip, deflate, identity"
_WEIGHT = re.compile(rb"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_MOST_LISTED = 32
# Of one step of inflating: 1 MB takes 2 to 4 ms. Its input is cut, since zlib copies what it leaves over.
_INPUT = 262_144
STEP = 1 << 20
# Level 1 makes numbers as text a third as long at 80 MB/s; level 6 a quarter shorter still at 20.
_LEVEL = 1
# What shrinks less than this is not worth inflating again: floats in binary stay above nine tenths.
_WORTHWHILE = 0.9
_SAMPLE = 65_536


class Accepted(NamedTuple):
    """What a client takes: `coding` (b"" for none) is the one it likes best, `plain` says that none is fine too."""

    coding: bytes = b""
    plain: bool = True


def coding_of(value: bytes) -> bytes | None:
    """The coding that a Content-Encoding names, b"" for none; None where it is not served."""
    return _CODINGS.get(value.strip().lower())


def accepted(value: bytes) -> Accepted:
    """What an Accept-Encoding asks for (RFC 9110, section 12.5.3); what cannot be understood asks for nothing."""
    weights: dict[bytes, float] = {}
    for item in value.lower().split(b",")[:_MOST_LISTED]:
        name, _, parameter = item.partition(b";")
        weight = _weight(parameter.strip())
        if weight is not None and name.strip():
            weights[_CODINGS.get(name.strip(), name.strip()) or b"identity"] = weight
    others = weights.get(b"*")
    # Not named, it is taken, but behind everything that is.
    plain = weights.get(b"identity", 0.0 if others == 0 else 1e-9)
    best, coding = max((weights.get(name, others or 0.0), name) for name in (b"deflate", b"gzip"))
    return Accepted(coding if best and best >= plain else b"", plain > 0)


def _weight(parameter: bytes) -> float | None:
    if not parameter:
        return 1.0
    name, _, value = parameter.partition(b"=")
    fits = name.strip() == b"q" and _WEIGHT.fullmatch(value.strip())
    return float(value) if fits else None


class Inflation:
    """A compressed body, inflated piece by piece; `done` once its last byte was seen."""

    __slots__ = ("_rest", "_zlib", "coding", "done")

    def __init__(self, coding: bytes, body: Buffer) -> None:
        self.coding = coding
        self.done = False
        self._zlib = zlib.decompressobj(_WINDOW[coding])
        self._rest = memoryview(body)

    def step(self, most: int = STEP) -> bytes:
        """The next bytes, at most so many; zlib lets other threads run meanwhile.

        Raises:
            BadRequest: the body is not of this coding, ends early or goes on behind its end.
        """
        while True:
            given: Buffer = self._zlib.unconsumed_tail
            if not given:
                given, self._rest = self._rest[:_INPUT], self._rest[_INPUT:]
            try:
                piece = self._zlib.decompress(given, most)
            except zlib.error as error:
                raise BadRequest(f"the body is not {self._name}, as its Content-Encoding says: {error}") from None
            if self._zlib.eof:
                self._end()
                return piece
            if piece:
                return piece
            if not given:
                raise BadRequest(f"the {self._name} body ends too early; send it to its end")

    def _end(self) -> None:
        left = len(self._zlib.unused_data) + len(self._zlib.unconsumed_tail) + len(self._rest)
        if left:
            raise BadRequest(f"{left} bytes follow the end of the {self._name} body; send nothing behind it")
        self.done = True

    @property
    def _name(self) -> str:
        return self.coding.decode()


def deflated(coding: bytes, pieces: Iterable[Buffer], *, always: bool) -> list[bytes] | None:
    """The pieces compressed, as one body; None where the first of them shrink too little, unless `always`."""
    parts = []
    given = made = 0
    squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[coding])
    for piece in pieces:
        view = memoryview(piece)
        while view:
            first, view = view[:_SAMPLE], view[_SAMPLE:]
            parts.append(squeeze.compress(first))
            given += len(first)
            made += len(parts[-1])
            if not always and given >= _SAMPLE:
                if made + len(parts[-1]) > given * _WORTHWHILE:
                    return None
                always = True
    parts.append(squeeze.flush())
    return parts
