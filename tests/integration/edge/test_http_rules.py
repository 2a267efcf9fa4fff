"""The rules of HTTP/1.1 (RFC 9110 and 9112) on a real connection, each in one write and byte by byte."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

import orjson
import pytest

from tests.integration.edge.http_rules.every_rule import RULES
from tests.integration.edge.http_rules.rule import STAYS, Rule
from tests.integration.edge.test_http_server import Worker, run

PROBE = b"GET /v2/health/live HTTP/1.1\r\nhost: a\r\n\r\n"
CONTINUE = 100

Cut = Callable[[bytes], Iterator[bytes]]


def at_once(data: bytes) -> Iterator[bytes]:
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    # What only makes it long arrives in one piece.
    yield from (data[at : at + 1] for at in range(min(len(data), 600)))
    yield data[600:]


async def answer(reader: asyncio.StreamReader, *, bodiless: bool) -> tuple[int, dict[str, str]]:
    """The next answer; an error says what is wrong."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    status = int(head[0].split()[1])
    if status == CONTINUE or bodiless:
        return status, headers
    body = await reader.readexactly(int(headers["content-length"]))
    if status != 200:
        assert headers["content-type"] == "application/json"
        assert set(orjson.loads(body)) == {"error"}
    return status, headers


def test_names_are_given_once() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("cut", [at_once, byte_by_byte])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_it_is_answered_by_the_rule(rule: Rule, cut: Cut) -> None:
    async def use(worker: Worker) -> None:
        reader, writer = await worker.connect()
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in cut(rule.sent):
            writer.write(piece)
            await asyncio.sleep(0)
        told: list[int] = []
        headers: dict[str, str] = {}
        leaves = 0
        while len(told) < len(rule.answers):
            status, headers = await answer(reader, bodiless=len(told) in rule.bodiless)
            if status == CONTINUE:
                leaves += 1
            else:
                told.append(status)
        # Nobody is told to send what is there already.
        assert leaves == (rule.leave and cut is byte_by_byte)
        assert (tuple(told), rule.why) == (rule.answers, rule.why)
        assert headers.items() >= rule.says.items()
        assert (headers.get("connection") == "close") is (bool(told) and rule.then != STAYS)
        if rule.answers:
            writer.write(PROBE)
        writer.write_eof()
        left = await reader.read()
        assert left.startswith(b"HTTP/1.1 200 ") if rule.then == STAYS else left == b""
        assert left.count(b"HTTP/1.1") <= 1

    run(use)
