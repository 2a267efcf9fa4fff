"""A connection of the generator's: its socket, what is out on it, and what came of the answer so far."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from loadtests.generator.grpc_wire import Calls

# What this machine has no more of: descriptors, ports, memory of the kernel. No server can help that.
OWN_WANT = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})


class Connection:
    """One request at a time is out on it."""

    __slots__ = ("calls", "data", "kept", "number", "open", "rest", "socket")

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.data = b""
        # Bytes of an answer that is not whole.
        self.kept = 0
        # The request that is out on it, and what of it did not leave yet.
        self.number = -1
        self.rest = b""
        self.open = True
        self.calls = Calls()


def opened(address: tuple[str, int]) -> Connection:
    """On its way: whether the server takes it is seen by what is read.

    Raises:
        OSError: at once, by a server of this machine that is not there, or for want of a socket.
    """
    made = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        made.settimeout(0)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BlockingIOError):
            made.connect(address)
    except OSError:
        made.close()
        raise
    return Connection(made)
