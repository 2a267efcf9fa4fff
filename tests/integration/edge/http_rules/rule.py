"""A rule of HTTP/1.1, and the requests that rules are about."""

from __future__ import annotations

from dataclasses import dataclass, field

STAYS, CLOSES = "stays", "closes"

INFER = "POST /v2/models/mlp/infer HTTP/1.1"
BODY = b'{"inputs":[{"name":"input","shape":[1,1],"datatype":"FP32","data":[7]}]}'
LENGTH = f"content-length: {len(BODY)}"
CHUNKED = "transfer-encoding: chunked"
WHOLE = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
SMUGGLED = b"GET /v2/models HTTP/1.1\r\nhost: a\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Rule:
    """`answers` in their order; where there are none the client ends early, and closes its half without another word.

    `why` names the RFC and its section. `bodiless` are the places of answers that have no body, whatever their length
    says; `says` are headers of the last. `leave` tells that a client whose body has not come is told to send it (100).
    """

    name: str
    sent: bytes
    answers: tuple[int, ...]
    then: str
    why: str
    bodiless: tuple[int, ...] = ()
    says: dict[str, str] = field(default_factory=dict)
    leave: bool = False


def raw(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A head of exactly these lines, and what follows it."""
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1") + body


def get(path: str = "/v2", *headers: str, version: str = "HTTP/1.1") -> bytes:
    """A request without a body."""
    return raw(f"GET {path} {version}", "host: a", *headers)


def infer(*headers: str, body: bytes = BODY, line: str = INFER) -> bytes:
    """A prediction whose length, or coding, is among the headers."""
    return raw(line, "host: a", *headers, body=body)


def chunks(body: bytes) -> bytes:
    """A prediction in chunks as given."""
    return infer(CHUNKED, body=body)
