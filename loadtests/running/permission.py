"""Who may be asked: this machine, and what the caller has named as permitted."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from serving.errors import ConfigInvalid


def check_target(target: str, permitted: str | None) -> None:
    """Refuse what is neither loopback nor named.

    Raises:
        ConfigInvalid: a load on somebody else's server needs a word that it is meant.
    """
    parts = urlsplit(target)
    if parts.scheme != "http":
        raise ConfigInvalid(f"{target}: only http:// can be asked; let a proxy on this machine speak TLS")
    host = parts.hostname or ""
    if not host or parts.path not in ("", "/"):
        raise ConfigInvalid(f"{target} is no address of a server such as http://127.0.0.1:8080; paths belong to users")
    if host != permitted and not all(_loopback(address) for address in addresses(host)):
        raise ConfigInvalid(f"{host} is not this machine; --yes-load {host} says that a load test of it is meant")


def check_own(target: str) -> None:
    """Refuse to break what is not asked.

    Raises:
        ConfigInvalid: programs of chaos act on this machine, where another session may serve the target's port.
    """
    host = urlsplit(target).hostname or ""
    if not all(_loopback(address) for address in addresses(host)):
        raise ConfigInvalid(f"chaos is done to a session of this machine, which {host} is not; run it there")


def addresses(host: str) -> list[str]:
    """What a name stands for.

    Raises:
        ConfigInvalid: nothing.
    """
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except OSError as error:
        raise ConfigInvalid(f"there is no host {host!r}: {error.strerror}") from error


def _loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
