"""The listening sockets of a session: one per worker slot on one port, the supervisor's own and inherited by all.

Connections that arrive while a worker is away wait in its listener, which stays open here.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from serving.errors import ConfigInvalid

_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Listeners:
    """`sockets[slot]` is the worker slot's own."""

    host: str
    port: int
    sockets: tuple[socket.socket, ...]

    def fds(self) -> dict[int, int]:
        """Slot to file descriptor, the same number in every child."""
        return {slot: sock.fileno() for slot, sock in enumerate(self.sockets)}

    def close(self) -> None:
        """Connections not yet accepted are reset."""
        for sock in self.sockets:
            sock.close()


def open_listeners(host: str, port: int, slots: int, flag: str) -> Listeners:
    """Listen on one port with a socket per slot; port 0 takes a free one.

    Raises:
        ConfigInvalid: the address cannot be used; names it and the option that changes it.
    """
    family, address = _resolve(host, port, flag)
    try:
        _refuse_shared(family, address)
        first = _listen(family, address)
        bound = first.getsockname()
        return Listeners(host, bound[1], (first, *(_listen(family, bound) for _ in range(slots - 1))))
    except OSError as error:
        raise ConfigInvalid(_in_words(error, host, port, flag)) from error


def _resolve(host: str, port: int, flag: str) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    try:
        found: Sequence[tuple[object, ...]] = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, OverflowError) as error:
        raise ConfigInvalid(f"cannot listen on {host!r} port {port}: {error}; see {flag}") from error
    family, _, _, _, address = found[0]
    assert isinstance(family, socket.AddressFamily)  # noqa: S101 - for the type checker
    assert isinstance(address, tuple)  # noqa: S101 - for the type checker
    return family, address


def _refuse_shared(family: socket.AddressFamily, address: tuple[object, ...]) -> None:
    """SO_REUSEPORT would let two gateways of one user share a port without a word."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Allows connections of a gateway that has just ended, but nobody who listens.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _listen(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.settimeout(0)
    except OSError:
        sock.close()
        raise
    return sock


def _in_words(error: OSError, host: str, port: int, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another program; choose another one with {flag}"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs more rights than this user has; choose one above 1023 with {flag}"
    return f"cannot listen on {host} port {port}: {error.strerror}; see {flag}"
