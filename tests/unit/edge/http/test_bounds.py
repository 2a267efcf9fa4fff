"""Every limit at one less, at its own number, and at one more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from serving.edge.http.limits import HttpLimits
from serving.inference import Answer, Request, Tensor
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.http.wire import GET, Wire, holding, infer, post, responses

_PATH = "/v2/models/mlp/infer"


def _url(size: int) -> bytes:
    return b"GET /v2?%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * (size - len("/v2?")))


def _headers(count: int) -> bytes:
    return b"GET /v2 HTTP/1.1\r\nHost: a\r\n" + b"x: y\r\n" * (count - 1) + b"\r\n"


def _head(size: int) -> bytes:
    # Counted are the path, names, values, and four for each header.
    rest = size - len("/v2") - len("Hosta") - 4 - len("x") - 4
    return b"GET /v2 HTTP/1.1\r\nHost: a\r\nx: %b\r\n\r\n" % (b"y" * rest)


def _tensor(shape: list[int], data: list[Any], datatype: str = "FP32", name: str = "input") -> dict[str, object]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def _inputs(*tensors: dict[str, object]) -> bytes:
    return json.dumps({"inputs": list(tensors)}).encode()


def _padded(size: int) -> bytes:
    return _inputs(_tensor([1, 1], [1.0])).ljust(size)


def _chunked(body: bytes) -> bytes:
    head = f"POST {_PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    half = len(body) // 2
    pieces = b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:])])
    return head + pieces + b"0\r\n\r\n"


def _anything(request: Request) -> Answer:
    return answer_of(request, (Tensor("mean", "FP32", (1, 1), bytes(4)),))


SIZES: list[tuple[str, HttpLimits, int, Callable[[int], bytes], int]] = [
    ("url", HttpLimits(max_url_bytes=300), 300, _url, 414),
    ("headers", HttpLimits(max_headers=20), 20, _headers, 431),
    ("head", HttpLimits(max_head_bytes=2000), 2000, _head, 431),
    ("body", HttpLimits(max_body_mb=2**-10), 1024, lambda n: post(_padded(n)), 413),
    ("body in chunks", HttpLimits(max_body_mb=2**-10), 1024, lambda n: _chunked(_padded(n)), 413),
    ("json", HttpLimits(max_json_mb=2**-10), 1024, lambda n: post(_padded(n)), 413),
    ("json in chunks", HttpLimits(max_json_mb=2**-10), 1024, lambda n: _chunked(_padded(n)), 413),
    (
        "tensors",
        HttpLimits(max_tensors=3),
        3,
        lambda n: post(_inputs(*[_tensor([1], [1.0], name=str(i)) for i in range(n)])),
        400,
    ),
    ("rank", HttpLimits(max_rank=4), 4, lambda n: post(_inputs(_tensor([1] * n, [1.0]))), 400),
    ("elements", HttpLimits(max_elements=10), 10, lambda n: post(_inputs(_tensor([1, n], [1.0] * n))), 400),
    ("strings", HttpLimits(max_strings=5), 5, lambda n: post(_inputs(_tensor([1, n], ["a"] * n, "BYTES"))), 400),
    (
        "string",
        HttpLimits(max_string_bytes=6),
        6,
        lambda n: post(_inputs(_tensor([1], ["ü" + "a" * (n - 2)], "BYTES"))),
        400,
    ),
]


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize(
    ("limits", "most", "make", "status"), [case[1:] for case in SIZES], ids=[case[0] for case in SIZES]
)
def test_a_request_may_have_so_much_and_no_more(
    limits: HttpLimits, most: int, make: Callable[[int], bytes], status: int, over: int
) -> None:
    wire = Wire(limits=limits, predictions=FakePredictions(reply=_anything))
    answer = wire.ask(make(most + over))
    assert answer.status == (status if over > 0 else 200), answer
    if not wire.transport.eof_written:
        assert wire.ask(GET).status == 200


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_json_is_1024_deep_and_no_deeper(over: int) -> None:
    # The parser's own bound; `data` is nested as deep as the rank of its tensor.
    arrays = 1023 + over
    answer = Wire().ask(post(b'{"inputs":' + b"[" * arrays + b"]" * arrays + b"}"))
    assert answer.status == 400
    assert ("depth" in answer.error) is (over > 0)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_so_many_predictions_are_in_flight_and_no_more_are_read(over: int) -> None:
    wire = holding(HttpLimits(max_requests=3))
    transports = []
    for _ in range(3 + over):
        transport, connection = wire.connect()
        connection.data_received(infer())
        transports.append(transport)
    late = transports[3:]
    assert len(wire.predictions.held) == min(3 + over, 3)
    assert [responses(one.written)[0].status for one in late] == [503] * len(late)
    assert all("max_requests" in responses(one.written)[0].error for one in late)
    wire.predictions.release()
    assert wire.edge.requests == 0
    assert wire.ask(GET).status == 200


def test_a_worker_with_all_it_takes_in_flight_refuses_at_the_head() -> None:
    wire = holding(HttpLimits(max_requests=1))
    wire.send(infer())
    transport, connection = wire.connect()
    connection.data_received(infer().split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    (answer,) = responses(transport.written)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    wire.connection.connection_lost(None)
    assert wire.edge.requests == 0


@pytest.mark.parametrize("path", [b"/v2/health/live", b"/v2/health/ready"])
def test_who_asks_how_a_worker_is_gets_an_answer_while_it_holds_all_it_takes(path: bytes) -> None:
    # Kubernetes would end, or take out of service, one overloaded pod after the other.
    wire = holding(HttpLimits(max_requests=1))
    wire.send(infer())
    transport, connection = wire.connect()
    connection.data_received(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    (answer,) = responses(transport.written)
    assert answer.status == 200


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize(
    ("sent", "limits"),
    [
        (b"", HttpLimits(head_s=8, idle_s=64, sweep_s=1)),
        (GET[:-2], HttpLimits(head_s=8, idle_s=64, sweep_s=1)),
        (infer().partition(b"{")[0], HttpLimits(body_s=8, head_s=64, sweep_s=1)),
        (GET, HttpLimits(idle_s=8, head_s=64, sweep_s=1)),
    ],
    ids=["silent", "slow head", "slow body", "idle"],
)
def test_a_client_has_so_much_time_and_no_more(sent: bytes, limits: HttpLimits, over: int) -> None:
    wire = Wire(limits=limits)
    if sent:
        wire.send(sent)
    wire.sweep(8 + over * 0.125)
    assert wire.transport.eof_written is (over > 0)


@pytest.mark.parametrize("sent", [b"", GET[:-2], infer()[:-2], GET], ids=["silent", "half head", "half body", "idle"])
def test_what_came_in_time_is_answered_by_a_loop_that_was_held_up(sent: bytes) -> None:
    wire = Wire()
    wire.send(sent)
    wire.sweep(100, times=1)
    rest = infer()[-2:] if sent == infer()[:-2] else GET[len(sent) :] or GET
    wire.send(rest)
    wire.sweep(1)
    assert {answer.status for answer in wire.answers} == {200}
    assert not wire.transport.eof_written
    wire.sweep(100)
    assert wire.transport.eof_written


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_reader_has_so_much_time_for_its_next_64_kb(over: int) -> None:
    wire = Wire(limits=HttpLimits(write_stall_s=8))
    wire.transport.buffered = 1 << 20
    wire.connection.pause_writing()
    wire.sweep(8)
    wire.transport.buffered -= (64 << 10) + over
    wire.sweep(0.125)
    assert wire.transport.aborted is (over < 0)
    wire.sweep(8.125 if over >= 0 else 0)
    assert wire.transport.aborted


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_reader_has_so_much_time_for_all_of_it(over: int) -> None:
    wire = Wire(limits=HttpLimits(write_stall_s=8, min_read_kb_s=64))
    wire.transport.buffered = 1 << 20
    wire.connection.pause_writing()
    for _ in range(2):
        wire.transport.buffered -= 64 << 10
        wire.sweep(4)
    wire.sweep(2 + over * 0.125)
    assert wire.transport.aborted is (over > 0)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_client_that_was_answered_for_the_last_time_has_so_long_to_close(over: int) -> None:
    wire = Wire(limits=HttpLimits(linger_s=8))
    wire.send(b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    wire.sweep(8 + over * 0.125)
    assert wire.transport.aborted is (over > 0)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_so_many_bytes_are_held_and_no_more(over: int) -> None:
    body = _padded(1024)
    wire = holding(HttpLimits(in_flight_mb=2**-9))
    wire.send(post(body))
    transport, connection = wire.connect()
    connection.data_received(post(_padded(1024 + over)))
    assert len(wire.predictions.held) == (1 if over > 0 else 2)
    assert [one.status for one in responses(transport.written)] == ([503] if over > 0 else [])


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_so_many_requests_of_one_connection_are_in_flight_and_the_next_is_held(over: int) -> None:
    wire = holding(HttpLimits(max_pipelined=3))
    wire.send(infer() * (3 + over))
    assert len(wire.predictions.held) == min(3, 3 + over)
    assert wire.transport.reading is (over <= 0)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_so_many_connections_are_open_and_no_more(over: int) -> None:
    wire = holding(HttpLimits(max_connections=3))
    wire.send(infer())
    transports = []
    for _ in range(2 + over):
        transport, connection = wire.connect()
        connection.data_received(infer())
        transports.append(transport)
    assert [responses(one.written)[0].status for one in transports[2:]] == [503] * max(over, 0)
    assert len(wire.predictions.held) == min(3, 3 + over)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_so_much_of_a_refused_body_is_dropped_and_no_more(over: int) -> None:
    wire = Wire(limits=HttpLimits(max_discard_mb=2**-10))
    body = b"x" * (1024 + over)
    wire.send(post(body, path="/v2/models/nobody/infer"))
    assert wire.answer.status == 404
    assert wire.transport.eof_written is (over > 0)
