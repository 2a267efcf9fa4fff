"""Replies of a Redis, however they arrive."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.features.store.redis_address import parse
from serving.features.store.redis_connection import RedisConnection


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True


def connected() -> tuple[RedisConnection, Transport]:
    connection, transport = RedisConnection(), Transport()
    connection.connection_made(cast("asyncio.Transport", transport))
    return connection, transport


@given(st.lists(st.integers(1, 12), max_size=30))
async def test_replies_arrive_in_order_however_they_are_cut(sizes: list[int]) -> None:
    connection, _ = connected()
    replies: list[object] = []
    for _ in range(3):
        connection.send(b"?", replies.append)
    data = b"*2\r\n$1\r\na\r\n$-1\r\n" + b"+OK\r\n" + b"*1\r\n$3\r\nx\r\n\r\n"
    for size in sizes:
        connection.data_received(data[:size])
        data = data[size:]
    connection.data_received(data)
    assert replies == [[b"a", None], b"OK", [b"x\r\n"]]


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    connection, transport = connected()
    connection.data_received(b"+OK\r\n")
    assert transport.aborted
    assert connection.ended.result() == "it sent what nobody asked for"


@given(st.binary(max_size=60))
async def test_whatever_a_server_sends_nothing_is_raised(data: bytes) -> None:
    connection, transport = connected()
    replies: list[object] = []
    connection.send(b"?", replies.append)
    connection.data_received(data)
    assert len(replies) <= 1
    assert transport.aborted == connection.ended.done()


async def test_what_is_sent_over_a_lost_connection_goes_nowhere() -> None:
    connection, transport = connected()
    connection.connection_lost(None)
    connection.send(b"?", lambda _: None)
    assert transport.written == b""
    assert connection.ended.result() == "it closed the connection"


@pytest.mark.parametrize(
    ("url", "host", "port", "db", "login"),
    [
        ("redis://h", "h", 6379, 0, ()),
        ("redis://:p%40@h:7/3", "h", 7, 3, (b"AUTH", b"p@")),
        ("rediss://u:p@[::1]:7?db=2", "::1", 7, 2, (b"AUTH", b"u", b"p")),
        ("redis://h?username=u&password=p", "h", 6379, 0, (b"AUTH", b"u", b"p")),
    ],
)
def test_an_address_is_read_as_redis_py_reads_it(
    url: str, host: str, port: int, db: int, login: tuple[bytes, ...]
) -> None:
    address = parse(url)
    assert (address.host, address.port, address.db, address.login) == (host, port, db, login)
    assert (address.tls is not None) == url.startswith("rediss")
    assert "p%40" not in repr(address)


def test_a_unix_socket_has_a_path_and_options() -> None:
    address = parse("unix://u:p@/run/some%20where/v.sock?db=4")
    assert (address.path, address.db, address.login) == ("/run/some where/v.sock", 4, (b"AUTH", b"u", b"p"))
