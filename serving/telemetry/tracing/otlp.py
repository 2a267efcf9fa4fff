"""Spans in the bytes of OTLP (opentelemetry-proto 1.x, trace/v1/trace.proto), written field by field.

A span costs some 20 us with protobuf's messages, on the loop that answers, and less than one this way; the tests read
what is written here with those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3

# Tags and values: the ids of trace and span (and of its parent), then the two times.
_ROOT = Struct(">2s16s2sQ")
_CHILD = Struct(">2s16s2sQ2sQ")
_TIMES = Struct("<BQBQ")
_TRACE: Final = b"\x0a\x10"
_OWN: Final = b"\x12\x08"
_PARENT: Final = b"\x22\x08"
_START: Final = 0x39
_END: Final = 0x41
_TIMES_BYTES: Final = 18
_ROOT_BYTES: Final = 28
_CHILD_BYTES: Final = 38
_LENGTH: Final = 2
_LOW_BITS: Final = 0x7F
_ONE_BYTE: Final = 0x80
# A message Status with the code of an error.
FAILED: Final = b"\x7a\x02\x18\x02"
# `name` and `version` of the instrumentation scope come before its spans.
_SCOPE = "sluice"


class Ids(NamedTuple):
    """A span's trace (16 bytes), itself and its parent (numbers of 64 bits; 0 for a root's)."""

    trace: bytes
    own: int
    parent: int


def span_bytes(  # noqa: PLR0913, PLR0917 - a struct of them would cost half as much again
    name: str, ids: Ids, start_ns: int, end_ns: int, kind: int = INTERNAL, more: bytes = b""
) -> bytes:
    """A span as a field `spans` of ScopeSpans, with its tag; times are nanoseconds since 1970.

    `more` are whole fields: `attributes`, links (`link`), `state` and `FAILED`.
    """
    trace, own, parent = ids
    said = _said(name, kind)
    times = _TIMES.pack(_START, start_ns, _END, max(start_ns, end_ns))
    if parent:
        size = _CHILD_BYTES + _TIMES_BYTES + len(said) + len(more)
        of = _CHILD.pack(_TRACE, trace, _OWN, own, _PARENT, parent)
    else:
        size = _ROOT_BYTES + _TIMES_BYTES + len(said) + len(more)
        of = _ROOT.pack(_TRACE, trace, _OWN, own)
    return b"".join((_begun(size), of, said, times, more))


# Sizes and names are few, and the same ones again and again.
@lru_cache(maxsize=1024)
def _begun(size: int) -> bytes:
    return b"\x12" + _varint(size)


@lru_cache(maxsize=1024)
def _said(name: str, kind: int) -> bytes:
    return _text(5, name) + b"\x30" + _varint(kind)


def state(text: str) -> bytes:
    """The tracestate of a span's trace."""
    return _text(3, text) if text else b""


def attributes(values: Mapping[str, str | int]) -> bytes:
    """Attributes of a span: texts, whole numbers, and what is true or false."""
    return b"".join([_field(9, _key_value(key, value)) for key, value in values.items()])


def link(trace_id: bytes, span_id: int) -> bytes:
    """A link of a span to another one, perhaps of another trace."""
    return b"\x6a\x1c" + _ROOT.pack(_TRACE, trace_id, _OWN, span_id)


def resource(values: Mapping[str, str]) -> bytes:
    """What a process is, as a field `resource` of ResourceSpans."""
    return _field(1, b"".join([_field(1, _key_value(key, value)) for key, value in values.items()]))


def request(groups: Iterable[tuple[bytes, Sequence[bytes]]], release: str) -> bytes:
    """An ExportTraceServiceRequest of spans (`span_bytes`, perhaps joined), by the `resource` that they are of."""
    scope = _field(1, _text(1, _SCOPE) + _text(2, release))
    return b"".join([_field(1, of + _field(2, scope + b"".join(spans))) for of, spans in groups])


def _key_value(key: str, value: str | int) -> bytes:
    return _text(1, key) + _field(2, _any_value(value))


def _any_value(value: str | int) -> bytes:
    if isinstance(value, str):
        return _text(1, value)
    if isinstance(value, bool):
        return b"\x10" + _varint(int(value))
    return b"\x18" + _varint(value & (1 << 64) - 1)


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    if number < _ONE_BYTE:
        return bytes((number,))
    out = bytearray()
    while number >= _ONE_BYTE:
        out.append(number & _LOW_BITS | _ONE_BYTE)
        number >>= 7
    out.append(number)
    return bytes(out)
