"""Readers that do not read: what is held for them stays within the budget, they are cut, and others are served."""

from __future__ import annotations

import asyncio
import os
import socket

from serving.edge.http.limits import HttpLimits
from serving.inference import Answer, Request, Tensor
from serving.testing.predictions import FakePredictions, answer_of
from tests.integration.edge.test_http_server import GET, Worker, response, run, until

MB = 1 << 20
READERS = 10
# By hand the figures of the promise; else an eighth of them, since the machine has other work.
SCALE = 1 if os.environ.get("SLUICE_LONG") == "1" else 8
ANSWER = 64 * MB // SCALE
BUDGET = 512 * MB // SCALE
INFER = (
    b'{"inputs":[{"name":"input","shape":[1,1],"datatype":"FP32","data":[1]}],"parameters":{"binary_data_output":true}}'
)
ASKED = b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(INFER), INFER)


def _large(asked: Request) -> Answer:
    return answer_of(asked, (Tensor("y", "UINT8", (1, ANSWER), bytes(ANSWER)),))


def test_ten_readers_that_do_not_read_hold_no_more_than_the_budget_and_are_cut() -> None:
    limits = HttpLimits(in_flight_mb=BUDGET / MB, write_stall_s=1.0, linger_s=0.3, sweep_s=0.02)

    async def use(worker: Worker) -> None:
        loop = asyncio.get_running_loop()
        readers = []
        for _ in range(READERS):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, worker.address)
            await loop.sock_sendall(sock, ASKED)
            readers.append(sock)
        await until(lambda: len(worker.predictions.held) == READERS)
        # As a batch does: all at once.
        worker.predictions.release()
        await asyncio.sleep(0)
        assert BUDGET // 2 < worker.server.in_flight_bytes <= BUDGET
        statuses = [(await loop.sock_recv(sock, 12))[9:12] for sock in readers]
        assert set(statuses) == {b"200", b"503"}
        assert statuses.count(b"503") <= READERS - BUDGET // ANSWER + 1
        reader, writer = await worker.connect()
        writer.write(GET)
        assert (await response(reader))[0] == 200
        writer.close()
        for sock, status in zip(readers, statuses, strict=True):
            if status == b"503":
                sock.close()
        await until(lambda: not worker.server.connections)
        assert worker.server.in_flight_bytes == 0
        for sock in readers:
            sock.close()

    run(use, limits, FakePredictions(hold=True, reply=_large))
