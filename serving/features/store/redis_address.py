"""Where the features Redis is and how to get in, read from its URL."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from serving.errors import ConfigInvalid

_PORT = 6379
_TLS_OPTIONS = frozenset(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"))
_OPTIONS = frozenset(("db", "username", "password")) | _TLS_OPTIONS
_CERT_REQS = ("required", "optional", "none")


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`path` is a unix socket; else host and port. `tls` has the options that redis-py knows by the same names."""

    host: str = ""
    port: int = _PORT
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Mapping[str, str] | None = None

    @property
    def login(self) -> tuple[bytes, ...]:
        """The command that logs in; () where there is no password."""
        if not self.password:
            return ()
        names = (self.username.encode(),) if self.username else ()
        return (b"AUTH", *names, self.password.encode())

    def ssl_context(self) -> ssl.SSLContext | None:
        """Trusts what the machine trusts, or the given authority; None without TLS. Reads files.

        Raises:
            ConfigInvalid: a file cannot be used; names it.
        """
        if self.tls is None:
            return None
        authority, certificate, key = (self.tls.get(name) for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"))
        with _naming("ssl_ca_certs", authority):
            context = ssl.create_default_context(cafile=authority)
        if self.tls.get("ssl_cert_reqs") == "none":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            with _naming("ssl_certfile", certificate if key is None else f"{certificate} with ssl_keyfile {key}"):
                # Without a word for it, a key that needs one is asked for on the terminal, for ever.
                context.load_cert_chain(certificate, key, password="")
        return context


def parse(url: str) -> RedisAddress:
    """The address of `redis://`, `rediss://` or `unix://`, as redis-py takes them.

    Raises:
        ConfigInvalid: no such URL; the text repeats nothing that may be a secret.
    """
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        port = parts.port or _PORT
        path_db = parts.path.strip("/") if parts.scheme != "unix" else ""
        db = int(options.get("db") or path_db or 0)
    except ValueError as error:
        raise ConfigInvalid(no_url("has a port or a database that is no number")) from error
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ConfigInvalid(no_url("must begin with redis://, rediss:// or unix://"))
    if strange := sorted(set(options) - _OPTIONS):
        raise ConfigInvalid(no_url(f"has the option {strange[0]!r}; known are {', '.join(sorted(_OPTIONS))}"))
    if options.get("ssl_cert_reqs", "required") not in _CERT_REQS:
        raise ConfigInvalid(no_url(f"has another ssl_cert_reqs than {', '.join(_CERT_REQS)}"))
    return RedisAddress(
        host=parts.hostname or "localhost",
        port=port,
        path=unquote(parts.path) if parts.scheme == "unix" else "",
        db=db,
        username=unquote(parts.username or options.get("username", "")),
        password=unquote(parts.password or "") or options.get("password", ""),
        tls={name: options[name] for name in _TLS_OPTIONS & set(options)} if parts.scheme == "rediss" else None,
    )


@contextmanager
def _naming(option: str, file: str | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # A file that is no certificate is an OSError too, with a text of OpenSSL's.
        why = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else str(error)
        raise ConfigInvalid(no_url(f"names {option} {file}, which cannot be used: {why}")) from error


def no_url(what: str) -> str:
    """The sentence that refuses it."""
    return f"the features' URL {what}"
