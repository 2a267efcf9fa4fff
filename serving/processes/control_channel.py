"""One line of JSON per message between supervisor and child over a socket pair; end of file: the other is gone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson

# Snapshots of a worker's counts grow with the number of versions; a thousand of them are well under this.
_MAX_LINE = 32 * 1024 * 1024

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


class ControlChannel:
    """Either end; `send` never waits and `messages` ends when the other side is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Attach to the running loop."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._sock, limit=_MAX_LINE)

    def send(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - whatever JSON can say
        """Queue one message; does nothing when the other side has gone, which `messages` tells."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(orjson.dumps({"type": kind, **facts}, option=_OPTIONS))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Every message until the end of file; what is no message is skipped."""
        assert self._reader is not None, "open() comes first"  # noqa: S101 - a mistake of the caller, not of a peer
        while True:
            try:
                line = await self._reader.readline()
            except (ConnectionError, ValueError):
                return
            if not line.endswith(b"\n"):
                return
            message = _decoded(line)
            if message is not None:
                yield message

    async def flush(self) -> None:
        """Wait until what was sent has left this process, or the other side has gone."""
        if self._writer is None:
            return
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    def close(self) -> None:
        """The other side sees the end of file."""
        if self._writer is not None:
            self._writer.close()
        else:
            self._sock.close()


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        message = orjson.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and "type" in message else None


@contextlib.contextmanager
def channel_pair() -> Iterator[tuple[ControlChannel, socket.socket]]:
    """The supervisor's end, and the child's socket, which is closed here once the child has inherited it.

    Both are closed where no child could be started: the next try must not find the descriptors used up.
    """
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    channel = ControlChannel(ours)
    with theirs:
        try:
            yield channel, theirs
        except BaseException:
            channel.close()
            raise


def inherited_channel(fd: int) -> ControlChannel:
    """The child's end from the descriptor it was started with."""
    sock = socket.socket(fileno=fd)
    sock.settimeout(0)
    return ControlChannel(sock)
