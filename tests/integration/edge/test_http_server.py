"""The HTTP edge on real sockets and uvloop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest
import uvloop

from serving.edge.http.connection import Connection
from serving.edge.http.limits import HttpLimits
from serving.edge.http.server import HttpServer
from serving.testing.predictions import FakePredictions, RecordingObserver
from tests.integration.standstill import stop

GET = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"


class Worker:
    """A server on an ephemeral port, and clients of it."""

    def __init__(self, limits: HttpLimits, predictions: FakePredictions) -> None:
        self.predictions = predictions
        self.observer = RecordingObserver()
        self.server = HttpServer(predictions, limits, self.observer)
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.address = self.sock.getsockname()
        self.clients: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.address)
        self.clients.append(writer)
        return reader, writer

    async def end(self) -> None:
        for client in self.clients:
            client.transport.abort()
        await self.server.drain(0.0)
        await asyncio.sleep(0)


Use = Callable[[Worker], Coroutine[Any, Any, None]]
FAST = HttpLimits(head_s=0.2, body_s=0.2, idle_s=0.3, linger_s=0.3, write_stall_s=0.3, sweep_s=0.02)


def run(use: Use, limits: HttpLimits | None = None, predictions: FakePredictions | None = None) -> None:
    """Run `use` on uvloop beside a server, and drain it."""

    async def main() -> None:
        worker = Worker(limits or HttpLimits(), predictions or FakePredictions())
        await worker.server.listen(worker.sock)
        try:
            async with asyncio.timeout(20):
                await use(worker)
        finally:
            await worker.end()
        assert worker.server.connections == 0
        assert worker.server.in_flight_bytes == 0

    uvloop.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    while not condition():  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)


async def response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one response."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


def infer(*values: float, headers: str = "", rows: int = 1) -> bytes:
    tensor = {"name": "input", "shape": [rows, len(values) // rows], "datatype": "FP32", "data": list(values)}
    body = orjson.dumps({"inputs": [tensor]})
    head = f"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_many_connections_each_get_their_own_answers() -> None:
    async def client(worker: Worker, number: int) -> None:
        reader, writer = await worker.connect()
        for step in range(20):
            writer.write(infer(number, step))
            status, _, body = await response(reader)
            assert status == 200
            assert orjson.loads(body)["outputs"][0]["data"] == [(number + step) / 2]

    async def use(worker: Worker) -> None:
        await asyncio.gather(*(client(worker, number) for number in range(50)))

    run(use)


def test_pipelined_requests_in_odd_pieces_are_answered_in_order() -> None:
    async def use(worker: Worker) -> None:
        reader, writer = await worker.connect()
        stream = b"".join(infer(number) for number in range(200))
        for start in range(0, len(stream), 997):
            writer.write(stream[start : start + 997])
            await asyncio.sleep(0)
        for number in range(200):
            _, _, body = await response(reader)
            assert orjson.loads(body)["outputs"][0]["data"] == [number]

    run(use)


@pytest.mark.parametrize("size", [70_000_000, 20_000_000])
def test_a_413_reaches_a_client_that_sends_everything_first(size: int) -> None:
    async def use(worker: Worker) -> None:
        reader, writer = await worker.connect()
        writer.write(f"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode())
        block = b"x" * 1_000_000
        for _ in range(size // len(block)):
            writer.write(block)
            await writer.drain()
        status, _, body = await response(reader)
        assert status == 413
        assert b"max_json_mb" in body
        writer.write(infer(1.0))
        assert (await response(reader))[0] == 200

    run(use)


def test_bytes_that_are_no_http_get_an_answer_and_then_the_end() -> None:
    async def use(worker: Worker) -> None:
        reader, writer = await worker.connect()
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        status, headers, body = await response(reader)
        assert (status, headers["connection"], headers["content-type"]) == (400, "close", "application/json")
        assert "HTTP/1.1" in orjson.loads(body)["error"]
        assert await reader.read() == b""

    run(use)


@pytest.mark.parametrize(("sent", "status"), [(GET[:9], 408), (infer(1.0)[:-2], 408), (b"", 0), (GET, 200)])
def test_slow_and_silent_clients_are_ended_by_the_sweep(sent: bytes, status: int) -> None:
    async def use(worker: Worker) -> None:
        reader, writer = await worker.connect()
        writer.write(sent)
        if status:
            assert (await response(reader))[0] == status
        assert await reader.read() == b""

    run(use, FAST)


def test_a_slow_client_costs_only_its_own_connection() -> None:
    async def use(worker: Worker) -> None:
        slow_reader, slow = await worker.connect()
        request = infer(*[0.5] * 40)
        reader, writer = await worker.connect()
        for byte in request:
            slow.write(bytes([byte]))
            writer.write(infer(1.0))
            assert (await response(reader))[0] == 200
        assert (await response(slow_reader))[0] == 200

    run(use)


def test_a_reader_that_does_not_read_is_cut_off_and_frees_what_it_held() -> None:
    async def use(worker: Worker) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, worker.address)
        # 20,000 rows of answers of some 300 kB each, of which none is read.
        request = infer(*[0.1] * 20_000, rows=20_000)
        for _ in range(20):
            try:
                async with asyncio.timeout(0.5):
                    await loop.sock_sendall(sock, request)
            except (TimeoutError, ConnectionError):
                break
        await until(lambda: not worker.server.connections)
        assert worker.server.connections == 0
        assert worker.server.in_flight_bytes == 0
        sock.close()

    run(use, FAST)


def test_a_half_closed_client_gets_its_answer() -> None:
    async def use(worker: Worker) -> None:
        reader, writer = await worker.connect()
        writer.write(infer(3.0))
        writer.write_eof()
        await asyncio.sleep(0.05)
        worker.predictions.release()
        assert (await response(reader))[0] == 200
        assert await reader.read() == b""

    run(use, predictions=FakePredictions(hold=True))


def test_a_caller_who_resets_does_not_strand_the_others() -> None:
    async def use(worker: Worker) -> None:
        _, leaver = await worker.connect()
        reader, writer = await worker.connect()
        leaver.write(infer(1.0))
        writer.write(infer(2.0))
        await until(lambda: not (len(worker.predictions.held) < 2))
        sock = leaver.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaver.transport.abort()
        worker.predictions.release()
        _, _, body = await response(reader)
        assert orjson.loads(body)["outputs"][0]["data"] == [2.0]

    run(use, predictions=FakePredictions(hold=True))


def test_accepted_sockets_have_the_user_timeout_of_the_listener() -> None:
    async def use(worker: Worker) -> None:
        await worker.connect()
        await until(lambda: bool(worker.server.connections))
        (connection,) = worker.server._edge.connections
        assert isinstance(connection, Connection)
        assert connection._transport is not None
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000

    run(use)


def test_large_json_is_decoded_elsewhere_while_others_are_answered() -> None:
    async def use(worker: Worker) -> None:
        big_reader, big = await worker.connect()
        reader, writer = await worker.connect()
        big.write(infer(*[0.123456789] * 300_000, rows=300))
        writer.write(infer(4.0))
        assert (await response(reader))[0] == 200
        status, _, body = await response(big_reader)
        (output,) = orjson.loads(body)["outputs"]
        assert (status, output["shape"]) == (200, [300, 1])
        assert output["data"][299] == pytest.approx(0.123456789, rel=1e-5)
        big.write(infer(*[0.123456789] * 300_000, rows=300).replace(b"FP32", b"FP99"))
        status, _, body = await response(big_reader)
        assert status == 400
        assert b"FP99" in body

    run(use)


def test_a_decoding_process_that_dies_costs_one_request() -> None:
    async def use(worker: Worker) -> None:
        reader, writer = await worker.connect()
        request = infer(*[0.123456789] * 300_000, rows=300)
        writer.write(request)
        assert (await response(reader))[0] == 200
        child = worker.server._edge.oversize._child
        assert child is not None
        stop(child.pid)
        writer.write(request)
        await until(lambda: worker.server._edge.oversize._working is not None)
        os.kill(child.pid, signal.SIGKILL)
        status, _, body = await response(reader)
        assert status == 503
        assert b"decodes large JSON" in body
        writer.write(request)
        assert (await response(reader))[0] == 200

    run(use)


def test_more_large_documents_than_may_wait_are_refused() -> None:
    async def use(worker: Worker) -> None:
        request = infer(*[0.123456789] * 120_000, rows=120)
        clients = [await worker.connect() for _ in range(6)]
        for _, writer in clients:
            writer.write(request)
        statuses = sorted([(await response(reader))[0] for reader, _ in clients])
        assert set(statuses) == {200, 503}

    run(use, HttpLimits(max_oversize_waiting=1))


def test_a_drain_answers_what_is_there_and_lets_idle_clients_ask_once_more() -> None:
    async def use(worker: Worker) -> None:
        busy_reader, busy = await worker.connect()
        idle_reader, idle = await worker.connect()
        idle.write(GET)
        await response(idle_reader)
        busy.write(infer(1.0))
        await until(lambda: bool(worker.predictions.held))
        draining = asyncio.create_task(worker.server.drain(5.0))
        await asyncio.sleep(0.05)
        with pytest.raises(OSError, match="Connect"):
            await worker.connect()
        worker.predictions.release()
        status, headers, _ = await response(busy_reader)
        assert (status, headers["connection"]) == (200, "close")
        idle.write(GET)
        status, headers, _ = await response(idle_reader)
        assert (status, headers["connection"]) == (200, "close")
        assert not draining.done()
        await draining

    run(use, predictions=FakePredictions(hold=True))


def test_a_drain_ends_with_its_grace_whatever_clients_do() -> None:
    async def use(worker: Worker) -> None:
        await worker.connect()
        _, waiting = await worker.connect()
        waiting.write(infer(1.0))
        await until(lambda: bool(worker.predictions.held))
        await worker.server.drain(0.1)
        assert not worker.predictions.held[0].waiting
        assert worker.server.connections == 0

    run(use, HttpLimits(sweep_s=0.02), FakePredictions(hold=True))


def test_a_listener_can_be_handed_back_while_its_connections_stay() -> None:
    async def use(worker: Worker) -> None:
        copy = worker.sock.dup()
        reader, writer = await worker.connect()
        writer.write(GET)
        await response(reader)
        worker.server.stop_accepting(worker.sock)
        waiting_reader, waiting = await worker.connect()
        waiting.write(GET)
        writer.write(GET)
        assert (await response(reader))[0] == 200
        await asyncio.sleep(0.05)
        assert worker.server.connections == 1
        await worker.server.listen(copy)
        assert (await response(waiting_reader))[0] == 200

    run(use)
