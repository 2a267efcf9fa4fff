"""Opens and closes the sockets that gateways connect to."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ConfigInvalid
from serving.wire.address import TcpAddress, UnixAddress, parse

_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, the address a client uses, and the number of its file (0 where there is none)."""

    socket: socket.socket
    address: UnixAddress | TcpAddress
    inode: int = 0

    def close(self) -> None:
        """Wake whoever accepts, take no more connections, remove the socket's file if it is still ours."""
        # close() alone leaves a thread in accept() waiting for ever.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if isinstance(self.address, UnixAddress):
            _remove(Path(self.address.path), self.inode)


def listen(address: str) -> Listener:
    """Listen on `unix:/path` (in a folder of mode 0700, which is made if missing) or `tcp:host:port`.

    Raises:
        ConfigInvalid: no address, or one that cannot be listened on.
    """
    where = parse(address)
    try:
        return _listen_unix(where) if isinstance(where, UnixAddress) else _listen_tcp(where)
    except OSError as error:
        raise ConfigInvalid(f"cannot listen on {address}: {error}") from error


def _listen_unix(where: UnixAddress) -> Listener:
    path = Path(where.path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What a killed process left behind; anything but a socket is not ours to remove and bind() says so.
    if path.is_socket():
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(where.path)
        # Nobody can connect before listen(), so the file is private before it is of any use.
        path.chmod(0o600)
        listening.listen(_BACKLOG)
        return Listener(listening, where, path.stat().st_ino)
    except OSError:
        listening.close()
        raise


def _listen_tcp(where: TcpAddress) -> Listener:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    listening = socket.create_server((where.host, where.port), family=family, backlog=_BACKLOG)
    return Listener(listening, TcpAddress(where.host, listening.getsockname()[1]))


def _remove(path: Path, inode: int) -> None:
    with contextlib.suppress(OSError):
        # A successor may listen under the same name already.
        if path.is_socket() and path.stat().st_ino == inode:
            path.unlink()
