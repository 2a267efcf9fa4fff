"""Scrapes over a real socket: one page, and nothing else on that port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from serving.processes.listeners import open_listeners
from serving.telemetry.catalogue import READY
from serving.telemetry.metrics_server import MetricsServer
from serving.telemetry.snapshot import Series, Snapshot


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listeners = open_listeners("127.0.0.1", 0, 1, "--metrics-port")
    server = MetricsServer(listeners.sockets[0], lambda: Snapshot(gauges={Series(READY.name, ()): 1}))
    await server.start()
    yield listeners.port
    await server.stop()


async def said(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_scrape_gets_the_page(port: int) -> None:
    answer = await said(port, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\nsluice_ready 1.0\n" in answer


async def test_open_metrics_is_negotiated(port: int) -> None:
    answer = await said(port, b"GET /metrics HTTP/1.1\r\nACCEPT: application/openmetrics-text\r\n\r\n")
    assert b"content-type: application/openmetrics-text" in answer
    assert answer.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET /v2/models HTTP/1.1", b"404"), (b"POST /metrics HTTP/1.1", b"405"), (b"HEAD /metrics HTTP/1.1", b"200")],
)
async def test_there_is_nothing_else(port: int, request_line: bytes, status: bytes) -> None:
    answer = await said(port, request_line + b"\r\n\r\n")
    assert answer.split(b" ")[1] == status
    assert b"sluice_ready" not in answer


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\x00\r\n\r\n", b"A" * 40_000])
async def test_nonsense_harms_nobody(port: int, nonsense: bytes) -> None:
    await said(port, nonsense)
    assert b"sluice_ready 1.0" in await said(port, b"GET /metrics HTTP/1.1\r\n\r\n")
