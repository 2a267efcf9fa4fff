"""Compressed bodies through a whole connection, both ways, and answers that are made in several turns."""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from serving.edge.http.limits import HttpLimits
from serving.inference import Answer, CallerContext, Request, Tensor
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.http.binary import body_of, outputs_of, request, tensor
from tests.unit.edge.http.wire import Response, Wire, infer, post

PATH = "/v2/models/mlp/infer"
LIMITS = HttpLimits(max_json_mb=1, max_body_mb=4, in_flight_mb=16)
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ROW = tensor("input", "FP32", [1, 3], 12)
VALUES = struct.pack("<3f", 1, 2, 6)
BINARY: Any = {"parameters": {"binary_data_output": True}}


def same(request: Request) -> Answer:
    first = request.inputs[0]
    return answer_of(request, (Tensor("same", first.datatype, first.shape, first.data),))


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A model that answers what it was asked."""
    wire = Wire(limits=LIMITS, predictions=FakePredictions(reply=same))
    yield wire
    await wire.edge.compression.stop()
    assert wire.edge.budget.used == 0


async def answer(wire: Wire, data: bytes, count: int = 1) -> Response:
    already = len(wire.answers)
    wire.send(data)
    async with asyncio.timeout(20):
        while len(wire.answers) < already + count:  # noqa: ASYNC110 - nothing tells that a transport was written to
            await asyncio.sleep(0.001)
    return wire.answers[-1]


def json_row(*values: float) -> bytes:
    entry = {"name": "input", "shape": [1, len(values)], "datatype": "FP32", "data": values}
    return orjson.dumps({"inputs": [entry]})


def packed(body: bytes, coding: str = "gzip") -> bytes:
    return gzip.compress(body) if coding == "gzip" else zlib.compress(body)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("width", [3, 40_000])
async def test_json_arrives_compressed(wire: Wire, coding: str, width: int) -> None:
    body = packed(json_row(*[1.5] * width), coding)
    assert outputs_of(await answer(wire, post(body, headers=f"Content-Encoding: {coding}\r\n"))) == {
        "same": [1.5] * width
    }


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("width", [3, 500_000])
async def test_the_json_part_of_a_compressed_body_counts_what_it_is_inflated(
    wire: Wire, coding: str, width: int
) -> None:
    values = struct.pack("<f", 1.5) * width
    body, size = body_of([tensor("input", "FP32", [1, width], len(values))], values, **BINARY)
    sent = request(packed(body, coding), size, headers=f"Content-Encoding: {coding}\r\n")
    assert outputs_of(await answer(wire, sent)) == {"same": values}


async def test_a_body_that_is_not_what_its_coding_says_is_refused_and_the_next_one_served(wire: Wire) -> None:
    good = packed(json_row(1, 2))
    for body, message in ((good[:-3], "too early"), (good + b"x", "follow the end"), (b"{}", "is not gzip")):
        refused = await answer(wire, post(body, headers="Content-Encoding: gzip\r\n"))
        assert refused.status == 400
        assert message in refused.error
    assert (await answer(wire, post(good, headers="Content-Encoding: gzip\r\n"))).status == 200


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_json_is_bounded_as_it_is_inflated(wire: Wire, over: int) -> None:
    row = json_row(1, 2)
    body = row.ljust(LIMITS.max_json_bytes + over)
    got = await answer(wire, post(packed(body), headers="Content-Encoding: gzip\r\n"))
    assert got.status == (413 if over > 0 else 200)
    if over > 0:
        assert "max_json_mb" in got.error


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_a_body_with_tensors_is_bounded_as_it_is_inflated(wire: Wire, over: int) -> None:
    body, size = body_of([ROW], VALUES)
    more = LIMITS.max_body_bytes + over - len(body)
    body, size = body_of([tensor("input", "UINT8", [1, more], more)], bytes(more))
    body = body[:size].ljust(LIMITS.max_body_bytes + over - more) + bytes(more)
    size = len(body) - more
    assert len(body) == LIMITS.max_body_bytes + over
    got = await answer(wire, request(packed(body), size, headers="Content-Encoding: gzip\r\n"))
    assert got.status == (413 if over > 0 else 200)
    if over > 0:
        assert "max_body_mb" in got.error


@pytest.mark.parametrize(("room", "status"), [(LIMITS.max_body_bytes + (1 << 20), 413), (1 << 20, 503)])
async def test_a_bomb_is_inflated_no_further_than_its_bound(wire: Wire, room: int, status: int) -> None:
    bomb = packed(bytes(200 << 20))
    # Were it inflated further, there would be no room for it; that it counts at all shows where there is less.
    wire.edge.budget.capacity = len(bomb) + room
    got = await answer(wire, request(bomb, 100, headers="Content-Encoding: gzip\r\n"))
    assert got.status == status


@pytest.mark.parametrize("size", [30_000, 3 << 20], ids=["at once", "in a thread"])
async def test_inflated_bytes_count_as_bytes_in_flight(wire: Wire, size: int) -> None:
    predictions = wire.predictions = wire.edge.predictions = FakePredictions(hold=True)
    body, json_size = body_of([tensor("input", "FP32", [1, size // 4], size)], bytes(size))
    asked = request(packed(body), json_size, headers="Content-Encoding: gzip\r\n")
    asked = asked.replace(b"\r\n", b"\r\ntraceparent: %b\r\n" % TRACE, 1)
    full = LIMITS.in_flight_bytes - len(body)
    wire.edge.budget.used = full
    got = await answer(wire, asked)
    assert got.status == 503
    assert wire.observer.contexts == [CallerContext(TRACE)]
    assert "in_flight_mb" in got.error
    assert wire.edge.budget.used == full
    wire.edge.budget.used = 0
    wire.send(asked)
    async with asyncio.timeout(20):
        while not predictions.held:  # noqa: ASYNC110 - nothing tells that a request was accepted
            await asyncio.sleep(0.001)
    # The answer has one value: what is counted came with the request.
    assert wire.edge.budget.used == len(packed(body)) + len(body)
    predictions.release()
    assert wire.answers[-1].status == 200


def inflated(got: Response) -> Response:
    """The answer as it was before it was compressed."""
    assert got.headers["vary"] == "accept-encoding"
    assert got.headers["content-encoding"] in ("gzip", "deflate")
    body = gzip.decompress(got.body) if got.headers["content-encoding"] == "gzip" else zlib.decompress(got.body)
    return Response(got.status, got.headers, body)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_large_answer_is_compressed_where_the_client_takes_it(wire: Wire, coding: str) -> None:
    body, size = body_of([tensor("input", "FP32", [1, 30_000], 120_000)], struct.pack("<f", 1.5) * 30_000)
    got = await answer(wire, request(body, size, headers=f"Accept-Encoding: {coding}\r\n"))
    assert got.headers["content-encoding"] == coding
    assert wire.transport.written.count(b"\r\ncontent-length: ") == 1
    assert len(got.body) < 20_000
    assert outputs_of(inflated(got)) == {"same": [1.5] * 30_000}
    values = struct.pack("<f", 1.5) * 30_000
    body, size = body_of([tensor("input", "FP32", [1, 30_000], 120_000)], values, **BINARY)
    got = await answer(wire, request(body, size, headers=f"Accept-Encoding: {coding}\r\n"))
    assert outputs_of(inflated(got)) == {"same": values}


async def test_a_small_answer_is_sent_as_it_is_unless_that_is_refused(wire: Wire) -> None:
    small = await answer(wire, infer("1,2", headers="Accept-Encoding: gzip\r\n"))
    assert "content-encoding" not in small.headers
    assert outputs_of(small) == {"same": [1.0, 2.0]}
    squeezed = await answer(wire, infer("1,2", headers="Accept-Encoding: gzip, identity;q=0\r\n"))
    assert outputs_of(inflated(squeezed)) == {"same": [1.0, 2.0]}
    missing = await answer(wire, infer("1,2", headers="Accept-Encoding: gzip\r\n", more=',"outputs":[{"name":"z"}]'))
    assert missing.status == 400
    assert missing.error


async def test_answers_keep_their_order_also_where_earlier_ones_take_turns(wire: Wire) -> None:
    large, size = body_of([tensor("input", "FP32", [1, 60_000], 240_000)], struct.pack("<f", 1.5) * 60_000)
    one = request(large, size)
    two = request(large, size, headers="Accept-Encoding: gzip\r\n")
    await answer(wire, one + infer("1") + two + infer("2"), 4)
    first, second, third, fourth = wire.answers
    assert outputs_of(first) == {"same": [1.5] * 60_000}
    assert outputs_of(second) == {"same": [1.0]}
    assert outputs_of(inflated(third)) == {"same": [1.5] * 60_000}
    assert outputs_of(fourth) == {"same": [2.0]}


async def test_a_client_that_leaves_meanwhile_costs_nothing(wire: Wire) -> None:
    large, size = body_of([tensor("input", "FP32", [1, 600_000], 2_400_000)], struct.pack("<f", 1.5) * 600_000)
    wire.send(request(packed(large), size, headers="Content-Encoding: gzip\r\n"))
    wire.connection.connection_lost(None)
    assert wire.edge.budget.used == 0
    transport, connection = wire.connect()
    connection.data_received(request(large, size, headers="Accept-Encoding: gzip\r\n"))
    await asyncio.sleep(0)
    connection.connection_lost(None)
    wire.transport, wire.connection = wire.connect()
    await asyncio.sleep(0.01)
    assert (await answer(wire, infer("1"))).status == 200
    assert not transport.writes


async def test_many_strings_are_looked_at_in_turns_and_refused_all_the_same(wire: Wire) -> None:
    count = 10_000
    good = (struct.pack("<I", 2) + "ü".encode()) * count
    body, size = body_of([tensor("input", "BYTES", [1, count], len(good))], good, **BINARY)
    assert outputs_of(await answer(wire, request(body, size))) == {"same": good}
    bad = good[:-1] + b"\xff"
    body, size = body_of([tensor("input", "BYTES", [1, count], len(bad))], bad, **BINARY)
    refused = await answer(wire, request(body, size))
    assert refused.status == 400
    assert "element 9999 is not UTF-8" in refused.error
    text = "ü" * 200_000
    one = struct.pack("<I", len(text.encode())) + text.encode()
    body, size = body_of([tensor("input", "BYTES", [1], len(one))], one, **BINARY)
    assert outputs_of(await answer(wire, request(body, size))) == {"same": one}
    body, size = body_of([tensor("input", "BYTES", [1], len(one))], one[:-1] + b"a", **BINARY)
    assert (await answer(wire, request(body, size))).status == 400
