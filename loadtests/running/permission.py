"""Who may be asked: this machine, and what the caller has named as permitted.

A name is looked up once, and what was found then is what is asked: who answers for names could say something else the
second time.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from serving.errors import ConfigInvalid

# As sockets have it.
Address = tuple[str, int]
_CONNECT_S = 3.0


def permitted_address(target: str, permitted: str | None) -> Address:
    """The address to ask; what is neither loopback nor named is refused.

    Raises:
        ConfigInvalid: a load on somebody else's server needs a word that it is meant.
    """
    parts = urlsplit(target)
    if parts.scheme != "http":
        raise ConfigInvalid(f"{target}: only http:// can be asked; let a proxy on this machine speak TLS")
    host = parts.hostname or ""
    if not host or parts.path not in ("", "/"):
        raise ConfigInvalid(f"{target} is no address of a server such as http://127.0.0.1:8080; paths belong to users")
    found = addresses_of(target)
    if host != permitted and not all(_loopback(address) for address in found):
        raise ConfigInvalid(f"{host} is not this machine; --yes-load {host} says that a load test of it is meant")
    return _first_that_answers(found)


def check_own(target: str, address: Address) -> None:
    """Refuse to break what is not asked.

    Raises:
        ConfigInvalid: programs of chaos act on this machine, where another session may serve the target's port.
    """
    if not _loopback(address):
        host = urlsplit(target).hostname
        raise ConfigInvalid(f"chaos is done to a session of this machine, which {host} is not; run it there")


def addresses_of(target: str) -> list[Address]:
    """What the target's name stands for, IPv4 before IPv6.

    Raises:
        ConfigInvalid: nothing.
    """
    parts = urlsplit(target)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise ConfigInvalid(f"there is no server at {target}: {said}") from error
    return [(str(one[4][0]), int(one[4][1])) for one in sorted(found, key=lambda one: one[0] != socket.AF_INET)]


def _first_that_answers(found: list[Address]) -> Address:
    for address in found if len(found) > 1 else ():
        with suppress(OSError), socket.create_connection(address, _CONNECT_S):
            return address
    return found[0]


def _loopback(address: Address) -> bool:
    return ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
