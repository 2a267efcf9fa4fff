"""Who may read and who may change: the bearer token, and the Host header where the server is bound to loopback."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import os
import secrets
from contextlib import suppress
from pathlib import Path

from serving.errors import ConfigInvalid

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_BYTES = 32
_SHORTEST = 16


def refusal(bound_to: str, token: str, method: str, host: str, authorization: str) -> tuple[int, str] | None:
    """Status and text for a request that may not go on, else None.

    Every change needs the token. Reading needs it too, unless the server is bound to loopback: a proxy makes every peer
    look local, so the peer's address says nothing. There the Host header has to name this machine, or a page in
    somebody's browser could read by a name of its own that it points at 127.0.0.1 (DNS rebinding).
    """
    local = is_loopback(bound_to)
    if local and not is_loopback(_name(host)):
        return 403, f"Host {host[:100]!r} is not this machine; ask for http://127.0.0.1 or http://localhost"
    if local and method in _READS:
        return None
    refused = bearer_refusal(token, _as_bearer(authorization))
    return (401, refused) if refused else None


def _as_bearer(authorization: str) -> str:
    """Clients that can be given an address and no header send what stands before its @ so (RFC 7617)."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return authorization
    try:
        _, _, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError:
        return ""
    return f"Bearer {password}"


def bearer_refusal(token: str, authorization: str) -> str:
    """Why the sender of an Authorization header is not the owner of the token; empty where it is."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "bearer" or not given:
        return "send the token: `authorization: Bearer TOKEN`; `sluice up` says in which file it is"
    if not hmac.compare_digest(given.strip().encode(), token.encode()):
        return "the token is not this session's; `sluice up` says in which file it is"
    return ""


def is_loopback(host: str) -> bool:
    """127.0.0.0/8, ::1 or localhost."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_in(path: Path) -> str:
    """The token that a file holds; the file is made, for its owner alone, where there is none.

    Raises:
        ConfigInvalid: it can neither be read nor made, or holds no token.
    """
    try:
        if not path.exists():
            _make(path)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"control.token_file {path}: {error}; name a file that can be read or made") from error
    if len(token) < _SHORTEST or not token.isprintable() or " " in token:
        raise ConfigInvalid(f"control.token_file {path}: a token is one word of at least {_SHORTEST} characters")
    return token


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(_TOKEN_BYTES) + "\n")
    try:
        # Unlike a rename it does not replace what another session made meanwhile, and may have read already.
        with suppress(FileExistsError):
            os.link(half, path)
    finally:
        half.unlink()


def _name(host: str) -> str:
    """The Host header without its port; IPv6 stands in brackets (RFC 9110, section 7.2)."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
