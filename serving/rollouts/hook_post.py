"""Sends one request to a webhook and reads no more than how it was answered, within a time."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from serving.errors import Unavailable

_PORTS = {"http": 80, "https": 443}
_MOST_HEAD = 16 * 1024
_INTERIM = 200
# "HTTP/1.1 200 OK" is of three words, of which the last may be missing.
_STATUS_PARTS = 2


async def post(url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> int:
    """The status that it was answered with; redirects are followed nowhere.

    Raises:
        Unavailable: there was no answer in time, or none that is HTTP, in words.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _posted(url, headers, body)
    except TimeoutError:
        raise Unavailable(f"it did not answer within {timeout_s:g} s") from None
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        why = "it ended the connection" if isinstance(error, EOFError) else str(error) or type(error).__name__
        raise Unavailable(why) from error


async def _posted(url: str, headers: Mapping[str, str], body: bytes) -> int:
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls, limit=_MOST_HEAD)
    try:
        writer.write(_head(parts.netloc, _target(url), headers, len(body)) + body)
        # Who answers without reading is answered for all the same.
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = _status(head)
            if status >= _INTERIM:
                return status
    finally:
        writer.transport.abort()


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _head(host: str, target: str, headers: Mapping[str, str], length: int) -> bytes:
    lines = [f"POST {target} HTTP/1.1", f"host: {host}", "user-agent: sluice", "connection: close"]
    lines += [f"content-length: {length}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _status(head: str) -> int:
    words = head.partition("\r\n")[0].split(" ")
    if len(words) < _STATUS_PARTS or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise ValueError("what it answered is no HTTP")
    return int(words[1])
