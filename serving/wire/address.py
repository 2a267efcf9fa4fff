"""Where a replica listens, as it is written in the pool's membership: `unix:/path` or `tcp:host:port`."""

from __future__ import annotations

from dataclasses import dataclass

from serving.errors import ConfigInvalid

# sockaddr_un has 108 bytes, the last one zero.
LONGEST_UNIX_PATH = 107


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket file on this host."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port; 0 lets the kernel choose where it is listened on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


def parse(address: str) -> UnixAddress | TcpAddress:
    """Read an address.

    Raises:
        ConfigInvalid: it is none; the text says what one looks like.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "unix" and rest.startswith("/"):
        if len(rest.encode()) > LONGEST_UNIX_PATH:
            raise ConfigInvalid(f"the socket path {rest!r} is longer than the {LONGEST_UNIX_PATH} bytes a kernel takes")
        return UnixAddress(rest)
    host, _, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if scheme == "tcp" and host and port.isascii() and port.isdigit() and int(port) < 2**16:
        return TcpAddress(host, int(port))
    raise ConfigInvalid(f"{address!r} is no address of a replica; write unix:/path/to/socket or tcp:host:port")
