"""Ways to spoil what a good server answers: by path, by what the request holds, by what the answer would be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.integration.conformance.good_codec import LENGTH
from tests.integration.conformance.http_layer import App, Reply, Request

Document = dict[str, Any]
When = Callable[[Request], bool]
Change = Callable[[App], App]

FP32 = "/v2/models/oip-identity-fp32"
INFER = f"{FP32}/infer"
JSON = {"content-type": "application/json"}


def at(path: str, *, has: bytes = b"", lacks: bytes | None = None, method: str = "") -> When:
    """Requests to a path whose body has these bytes and lacks those."""

    def when(request: Request) -> bool:
        given = request.body
        wanted = has in given and (lacks is None or lacks not in given)
        return request.path == path and wanted and (not method or request.method == method)

    return when


def identity_at(request: Request) -> str:
    """The datatype of the identity model that is asked, "" for all else."""
    _, found, rest = request.path.partition("/v2/models/oip-identity-")
    return rest.removesuffix("/infer") if found and rest.endswith("/infer") and "/versions" not in rest else ""


def in_json(when: When) -> When:
    """Without a header length and without a coding."""
    return lambda request: LENGTH not in request.headers and "content-encoding" not in request.headers and when(request)


def in_bytes(when: When) -> When:
    """With a header length that is no 0, and without a coding."""
    return lambda request: (
        request.headers.get(LENGTH, "0") != "0" and "content-encoding" not in request.headers and when(request)
    )


def header(name: str, value: str, when: When) -> When:
    """With a header of this value; "" is one that is not there."""
    return lambda request: request.headers.get(name, "") == value and when(request)


def instead(when: When, status: int, body: bytes = b"{}") -> Change:
    """Another answer in place of the right one."""
    if status >= 400 and body == b"{}":
        body = b'{"error": "spoiled"}'
    return lambda app: lambda request: Reply(status, body, JSON) if when(request) else app(request)


def edited(when: When, edit: Callable[[Document], object]) -> Change:
    """The JSON of a 200 changed; binary data behind it stays, a changed value that is returned takes its place."""

    def change(request: Request, reply: Reply) -> Reply:
        if reply.status != 200 or "content-encoding" in reply.headers:
            return reply
        size = int(reply.headers.get(LENGTH, len(reply.body)))
        document = json.loads(reply.body[:size])
        other = edit(document)
        text = json.dumps(document if other is None else other).encode()
        headers = dict(reply.headers)
        if LENGTH in headers:
            headers[LENGTH] = str(len(text))
        return replace(reply, body=text + reply.body[size:], headers=headers)

    return after(when, change)


def after(when: When, change: Callable[[Request, Reply], Reply]) -> Change:
    """The right answer changed."""

    def spoiled(app: App) -> App:
        def answer(request: Request) -> Reply:
            reply = app(request)
            return change(request, reply) if when(request) else reply

        return answer

    return spoiled


def before(when: When, old: bytes, new: bytes) -> Change:
    """The request misread."""

    def spoiled(app: App) -> App:
        def answer(request: Request) -> Reply:
            if not when(request):
                return app(request)
            body = request.body.replace(old, new)
            headers = dict(request.headers)
            if LENGTH in headers:
                headers[LENGTH] = str(int(headers[LENGTH]) + len(body) - len(request.body))
            return app(replace(request, body=body, headers=headers))

        return answer

    return spoiled


def renamed(name: str, value: str, status: int = 200) -> Callable[[Request, Reply], Reply]:
    """A header of the answer set to something else, where it answers as the case is."""

    def change(_request: Request, reply: Reply) -> Reply:
        return replace(reply, headers={**reply.headers, name: value}) if reply.status == status else reply

    return change


def first_output(**fields: object) -> Callable[[Document], None]:
    """Fields of the first output set."""

    def edit(document: Document) -> None:
        document["outputs"][0].update(fields)

    return edit


def put(**fields: object) -> Callable[[Document], None]:
    """Fields of the document set."""
    return lambda document: document.update(fields)


def drop(field: str) -> Callable[[Document], None]:
    """A field of the document left out."""

    def edit(document: Document) -> None:
        document.pop(field, None)

    return edit


def last_byte(_request: Request, reply: Reply) -> Reply:
    """One bit of the answer's last byte turned over."""
    if reply.status != 200:
        return reply
    return replace(reply, body=reply.body[:-1] + bytes([reply.body[-1] ^ 2]))
