"""A connection whose time is over while the loop was held up, or that is closed: no request that has come is lost."""

from __future__ import annotations

import asyncio
import select
import socket
import time

import pytest

from serving.edge.http.connection import Connection
from serving.edge.http.limits import HttpLimits
from serving.errors import ServingError
from serving.inference import Answer, Request
from serving.testing.predictions import FakePredictions, mean_answer
from tests.integration.edge.test_http_server import FAST, GET, Worker, infer, run, until


async def caller(worker: Worker) -> socket.socket:
    """A connection on which one request has been answered."""
    client = socket.create_connection(worker.address)
    client.setblocking(False)
    client.send(GET)
    await answered(client)
    return client


async def answered(client: socket.socket) -> None:
    """The next answer is there, and good."""
    assert (await asyncio.get_running_loop().sock_recv(client, 1000)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("cut", [0, 9, len(GET)], ids=["silent", "half a head", "idle"])
def test_what_came_while_the_loop_was_held_up_is_answered(cut: int) -> None:
    async def use(worker: Worker) -> None:
        with socket.create_connection(worker.address) as client:
            client.setblocking(False)
            client.send(GET[:cut])
            await asyncio.sleep(0.1)
            client.send(GET[cut:] or GET)
            time.sleep(0.5)  # noqa: ASYNC251 - what holds it up
            for _ in range(20):
                await answered(client)
                client.send(GET)

    run(use, FAST)


def test_what_came_while_others_requests_held_the_loop_up_is_answered() -> None:
    predictions = FakePredictions()

    async def use(worker: Worker) -> None:
        with await caller(worker) as client:
            (connection,) = worker.server._edge.connections
            assert isinstance(connection, Connection)
            _, other = await worker.connect()
            await until(lambda: connection._expired > 0)

            def held_up(request: Request) -> Answer | ServingError:
                # While sockets are read: timers come before the next time that they are.
                client.send(GET)
                time.sleep(0.5)
                return mean_answer(request)

            predictions.reply = held_up
            other.write(infer(1.0))
            await answered(client)

    run(use, HttpLimits(idle_s=0.3, sweep_s=0.1), predictions)


def test_the_end_of_an_idle_connection_leaves_before_anything_else_is_done() -> None:
    async def use(worker: Worker) -> None:
        with await caller(worker) as client:
            (connection,) = worker.server._edge.connections
            assert connection.close_if_idle()
            # The loop has no turn meanwhile: who asks now knows.
            assert select.select([client], [], [], 5.0)[0]
            assert client.recv(1000) == b""

    run(use)


def test_an_idle_connection_is_not_closed_over_a_request_that_has_come() -> None:
    async def use(worker: Worker) -> None:
        with await caller(worker) as client:
            (connection,) = worker.server._edge.connections
            client.send(GET)
            assert not connection.close_if_idle()
            await answered(client)

    run(use)


def test_others_make_room_for_the_oldest_on_which_a_request_has_come() -> None:
    async def use(worker: Worker) -> None:
        clients = [await caller(worker) for _ in range(20)]
        # All that would be asked to go first have something to say.
        for client in clients[:18]:
            client.send(GET)
        assert worker.server._edge._make_room()
        for client in clients[:18]:
            await answered(client)
        for client in clients[18:]:
            assert await asyncio.get_running_loop().sock_recv(client, 1000) == b""
        for client in clients:
            client.close()

    run(use)
