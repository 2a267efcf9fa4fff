"""Unary gRPC calls over HTTP/2, frame by frame."""

from __future__ import annotations

import pytest

from loadtests.generator.answer import Answer
from loadtests.generator.grpc_head import coded
from loadtests.generator.grpc_wire import Calls, GrpcWire, frame, prefixed
from loadtests.generator.outcomes import GRPC_ERROR, SAID

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
WIRE = GrpcWire("host:1", "/service/Method")


def asked(times: int = 1) -> Calls:
    calls = Calls()
    for _ in range(times):
        WIRE.framed(calls, prefixed(b"question"))
    return calls


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    found = []
    while data:
        size = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def test_the_first_call_opens_the_connection_and_each_has_a_stream_of_its_own() -> None:
    calls = Calls()
    first, second = (WIRE.framed(calls, prefixed(b"question")) for _ in range(2))
    assert first.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert [(kind, flags, stream) for kind, flags, stream, _ in frames(second)] == [(HEADERS, 4, 3), (DATA, 1, 3)]
    assert frames(second)[1][3] == b"\x00\x00\x00\x00\x08question"
    assert b"/service/Method" in frames(second)[0][3]


def test_metadata_is_sent_with_every_call_its_names_in_lower_case() -> None:
    calls = Calls()
    wire = GrpcWire("host:1", "/service/Method", {"X-Sluice-Variant": "canary"})
    for _ in range(2):
        assert wire.framed(calls, prefixed(b"question")).count(b"\x00\x10x-sluice-variant\x06canary") == 1


def test_a_large_message_is_cut_into_frames_of_which_the_last_ends_the_stream() -> None:
    calls = asked()
    parts = frames(WIRE.framed(calls, prefixed(b"x" * 40_000)))[1:]
    assert [flags for _, flags, _, _ in parts] == [0, 0, 1]
    assert b"".join(part[3] for part in parts) == prefixed(b"x" * 40_000)


def test_an_answer_is_whole_with_its_trailers_however_its_bytes_come() -> None:
    trailers = frame(HEADERS, 5, 1, spelled("grpc-status", "0"))
    whole = frame(HEADERS, 4, 1, b"?") + frame(DATA, 0, 1, prefixed(b"answer")) + trailers
    for size in range(len(whole)):
        calls = asked()
        answer, rest, _ = WIRE.read(calls, whole[:size])
        assert answer is None
        answer, rest, _ = WIRE.read(calls, rest + whole[size:])
        assert (answer, rest) == (Answer(200, b"", b"answer", 0), b"")


def test_an_answer_without_a_message_or_a_broken_stream_is_an_error() -> None:
    assert WIRE.read(asked(), frame(HEADERS, 5, 1, b"?"))[0] == Answer(GRPC_ERROR, b"", b"", 0)
    assert WIRE.read(asked(), frame(RESET, 0, 1, b"\0" * 4))[0] == Answer(GRPC_ERROR, b"", b"", 0)
    half = frame(DATA, 0, 1, prefixed(b"answer")[:-1]) + frame(HEADERS, 5, 1, spelled("grpc-status", "0"))
    answer = WIRE.read(asked(), half)[0]
    assert answer is not None
    assert answer.status == GRPC_ERROR


def spelled(name: str, value: str, *, short: bool = True) -> bytes:
    """A header as who has no table writes it."""
    strings = (coded(text) if short else text.encode() for text in (name, value))
    return b"\x00" + b"".join(bytes((0x80 * short | len(one),)) + one for one in strings)


def test_the_server_is_told_to_keep_no_table_of_headers() -> None:
    opening = WIRE.framed(Calls(), prefixed(b"question")).removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    kind, _, _, settings = frames(opening)[0]
    assert kind == SETTINGS
    assert (1).to_bytes(2, "big") + bytes(4) in [settings[at : at + 6] for at in range(0, len(settings), 6)]


@pytest.mark.parametrize("short", [True, False])
def test_the_variant_and_whether_there_were_defaults_are_told_as_in_a_head_of_http(*, short: bool) -> None:
    begins = spelled("x-sluice-variant", "canary", short=short)
    ends = spelled("grpc-status", "0", short=short)
    defaults = spelled("x-sluice-degraded", "origin", short=short)
    for trailers, degraded in ((ends, False), (ends + defaults, True)):
        message = frame(DATA, 0, 1, prefixed(b"answer"))
        answer, _, _ = WIRE.read(asked(), frame(HEADERS, 4, 1, begins) + message + frame(HEADERS, 5, 1, trailers))
        assert answer is not None
        assert answer.status == 200
        assert b"\r\nx-sluice-variant: canary" in answer.head
        assert (b"\r\nx-sluice-degraded: " in answer.head) == degraded


@pytest.mark.parametrize(("code", "kind"), [("5", "gRPC NOT_FOUND"), ("14", "gRPC UNAVAILABLE"), ("99", "gRPC error")])
def test_a_refusal_is_told_by_its_code_whether_or_not_a_message_came_before(code: str, kind: str) -> None:
    refusal = frame(HEADERS, 5, 1, spelled("grpc-status", code))
    for before in (b"", frame(HEADERS, 4, 1, b"?") + frame(DATA, 0, 1, prefixed(b"answer"))):
        answer, _, _ = WIRE.read(asked(), before + refusal)
        assert answer is not None
        assert SAID[answer.status] == kind


def test_a_right_end_without_a_message_is_an_error() -> None:
    answer, _, _ = WIRE.read(asked(), frame(HEADERS, 5, 1, spelled("grpc-status", "0")))
    assert answer is not None
    assert answer.status == GRPC_ERROR


@pytest.mark.parametrize(
    "ends",
    [
        frame(HEADERS, 5, 1, b"?"),
        # Longer than is read, and bits that are no character.
        frame(HEADERS, 5, 1, b"\x00\x0bgrpc-status\x7f\x00" + b"5" * 127),
        frame(HEADERS, 5, 1, b"\x00\x0bgrpc-status\x84\xff\xff\xff\xff"),
        frame(DATA, 1, 1),
    ],
    ids=["none", "too long", "undecodable", "no trailers"],
)
def test_a_message_without_a_status_that_can_be_read_is_an_error(ends: bytes) -> None:
    answer, _, _ = WIRE.read(asked(), frame(HEADERS, 4, 1, b"?") + frame(DATA, 0, 1, prefixed(b"answer")) + ends)
    assert answer is not None
    assert answer.status == GRPC_ERROR


def test_what_the_connection_asks_is_acknowledged_and_what_belongs_to_earlier_calls_is_left() -> None:
    calls = asked(2)
    late = frame(DATA, 1, 1, prefixed(b"late"))
    answer, _, replies = WIRE.read(calls, frame(SETTINGS, 0, 0) + frame(PING, 0, 0, b"12345678") + late)
    assert answer is None
    assert frames(replies) == [(SETTINGS, 1, 0, b""), (PING, 1, 0, b"12345678")]


def test_a_server_that_leaves_is_not_asked_again() -> None:
    calls = asked()
    WIRE.read(calls, frame(GOAWAY, 0, 0, b"\0" * 8))
    assert calls.leaving
