"""Bytes that have come and that nobody has read yet, which an idle connection must not be closed over."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import termios

_NONE = bytes(4)


def end_unless_unread(transport: asyncio.WriteTransport | None) -> bool:
    """End our side of a connection on which all was said, unless something waits to be read; whether nothing does.

    A loop that was held up runs its timers before it reads what has come meanwhile. The end leaves at once: that of a
    transport waits for the next turn, and what the client sends until then would be lost.
    """
    sock = None if transport is None else transport.get_extra_info("socket")
    if transport is None or sock is None:
        return True
    try:
        if fcntl.ioctl(sock.fileno(), termios.FIONREAD, _NONE) != _NONE:
            return False
    except (OSError, ValueError):
        return True
    if transport.can_write_eof() and not transport.get_write_buffer_size():
        _shut(sock)
    return True


def _shut(sock: socket.socket) -> None:
    # What a transport gives has no shutdown of its own.
    twin = socket.socket(sock.family, sock.type, sock.proto, sock.fileno())
    try:
        with contextlib.suppress(OSError):
            twin.shutdown(socket.SHUT_WR)
    finally:
        twin.detach()
