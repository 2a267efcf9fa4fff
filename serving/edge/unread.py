"""Bytes that have come and that nobody has read yet."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios

_NONE = bytes(4)


def unread_bytes(transport: asyncio.Transport | None) -> int:
    """How many wait in the kernel to be read from this connection; 0 where it has no socket, or none any more.

    A loop that was held up runs its timers before it reads what has come meanwhile.
    """
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.FIONREAD, _NONE), sys.byteorder)
    except (OSError, ValueError):
        return 0
