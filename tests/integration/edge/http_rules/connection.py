"""Rules of connections, methods, expectations and other protocols."""

from __future__ import annotations

from tests.integration.edge.http_rules.rule import (
    BODY,
    CHUNKED,
    CLOSES,
    INFER,
    LENGTH,
    SMUGGLED,
    STAYS,
    WHOLE,
    Rule,
    get,
    infer,
    raw,
)

_WEBSOCKET = ("connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: AQIDBAUG")
_H2C = (
    "connection: Upgrade, HTTP2-Settings",
    "upgrade: h2c",
    "http2-settings: AAMAAABkAAQBAAAA",
)

PERSISTENCE = (
    Rule("close", get("/v2", "connection: close"), (200,), CLOSES, "9112, 9.6: MUST", says={"connection": "close"}),
    Rule("close in other letters", get("/v2", "Connection: CLOSE"), (200,), CLOSES, "9110, 7.6.1: case"),
    Rule("close in a list", get("/v2", "connection: x, close , y"), (200,), CLOSES, "9110, 7.6.1: a list"),
    Rule("close in a second header", get("/v2", "connection: x", "connection: close"), (200,), CLOSES, "9110, 5.3"),
    Rule("keep-alive", get("/v2", "connection: keep-alive"), (200,), STAYS, "9112, 9.3: as without it"),
    Rule("keep-alive and close", get("/v2", "connection: keep-alive, close"), (200,), CLOSES, "9112, 9.3: close wins"),
    Rule("an option that holds close", get("/v2", "connection: closed"), (200,), STAYS, "9110, 7.6.1: a token"),
    Rule(
        "requests after close", get("/v2", "connection: close") + get(), (200,), CLOSES, "9112, 9.6: none is looked at"
    ),
    Rule("HTTP/1.0", get(version="HTTP/1.0"), (200,), CLOSES, "9112, 9.3", says={"connection": "close"}),
    Rule(
        "HTTP/1.0 that stays",
        get("/v2", "connection: Keep-Alive", version="HTTP/1.0"),
        (200,),
        STAYS,
        "9112, C.2.2",
        says={"connection": "keep-alive"},
    ),
    Rule(
        "HTTP/1.0 that cannot choose",
        get("/v2", "connection: keep-alive, close", version="HTTP/1.0"),
        (200,),
        CLOSES,
        "9112, 9.3: close wins",
    ),
    Rule("HTTP/1.0 without a Host", raw("GET /v2 HTTP/1.0"), (200,), CLOSES, "9112, 3.2: only 1.1 must"),
    Rule(
        "HTTP/1.0 with a body",
        infer(LENGTH, line=INFER.replace("1.1", "1.0")),
        (200,),
        CLOSES,
        "9112, 6.3",
    ),
    Rule("an error keeps the connection", get("/nowhere"), (404,), STAYS, "9112, 9.3"),
    Rule("an error and close", get("/nowhere", "connection: close"), (404,), CLOSES, "9112, 9.6"),
    Rule(
        "errors among others at once",
        get()
        + get("/nowhere")
        + infer(LENGTH)
        + infer("content-length: 2", body=b"{}")
        + raw("PUT /v2 HTTP/1.1", "host: a"),
        (200, 404, 200, 400, 405),
        STAYS,
        "9112, 9.3.2: in their order",
    ),
    Rule(
        "what is no HTTP behind others",
        get() + infer(LENGTH) + b"\x16\x03\x01\r\n\r\n" + get(),
        (200, 200, 400),
        CLOSES,
        "9112, 9.3.2; 2.2",
    ),
    Rule("a request that ends in its line", b"GET /v2", (), CLOSES, "9112, 8: incomplete"),
    Rule("a request that ends in its head", b"GET /v2 HTTP/1.1\r\nhost: a\r\n", (), CLOSES, "9112, 8: incomplete"),
    Rule("nothing at all", b"", (), CLOSES, "9112, 9.5"),
)


SEMANTICS = (
    Rule("HEAD", raw("HEAD /v2 HTTP/1.1", "host: a"), (200,), STAYS, "9110, 9.3.2", bodiless=(0,)),
    Rule("HEAD of nothing", raw("HEAD /nowhere HTTP/1.1", "host: a"), (404,), STAYS, "9110, 9.3.2", bodiless=(0,)),
    Rule(
        "HEAD of what is posted",
        raw("HEAD /v2/models/mlp/infer HTTP/1.1", "host: a"),
        (405,),
        STAYS,
        "9110, 15.5.6",
        bodiless=(0,),
        says={"allow": "POST"},
    ),
    Rule(
        "HEAD before GET", raw("HEAD /v2 HTTP/1.1", "host: a") + get(), (200, 200), STAYS, "9112, 6.3, 1", bodiless=(0,)
    ),
    Rule(
        "HEAD with a body",
        raw("HEAD /v2 HTTP/1.1", "host: a", "content-length: 3", body=b"abc"),
        (200,),
        STAYS,
        "9110, 9.3.2: read past it",
        bodiless=(0,),
    ),
    *[
        Rule(
            f"{method} where it is not served",
            raw(f"{method} /v2 HTTP/1.1", "host: a"),
            (405,),
            STAYS,
            "9110, 15.5.6: MUST tell Allow",
            says={"allow": "GET, HEAD"},
        )
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    ],
    Rule("CONNECT", raw("CONNECT a:1 HTTP/1.1", "host: a"), (405,), CLOSES, "9110, 9.3.6: no tunnel"),
    Rule("waiting for leave", infer(LENGTH, "expect: 100-continue"), (200,), STAYS, "9110, 10.1.1", leave=True),
    Rule(
        "the same in other letters",
        infer(LENGTH, "Expect: 100-Continue"),
        (200,),
        STAYS,
        "9110, 10.1.1: case",
        leave=True,
    ),
    Rule(
        "waiting in chunks",
        infer(CHUNKED, "expect: 100-continue", body=WHOLE),
        (200,),
        STAYS,
        "9110, 10.1.1",
        leave=True,
    ),
    Rule("leave for no body", get("/v2", "expect: 100-continue"), (200,), STAYS, "9110, 10.1.1: none to come"),
    Rule(
        "leave over HTTP/1.0",
        infer(LENGTH, "expect: 100-continue", line=INFER.replace("1.1", "1.0")),
        (200,),
        CLOSES,
        "9110, 10.1.1: MUST ignore",
    ),
    Rule(
        "leave for what is refused",
        raw("POST /nowhere HTTP/1.1", "host: a", LENGTH, "expect: 100-continue"),
        (404,),
        CLOSES,
        "9110, 10.1.1: the final status at once",
    ),
    Rule("another expectation", infer(LENGTH, "expect: x"), (417,), CLOSES, "9110, 10.1.1"),
    Rule("two expectations", infer(LENGTH, "expect: 100-continue, x"), (417,), CLOSES, "9110, 10.1.1"),
)


UPGRADES = (
    Rule("a switch to WebSocket", get("/v2", *_WEBSOCKET), (200,), STAYS, "9110, 7.8: may be ignored"),
    Rule("a switch to HTTP/2, as Java's client offers", get("/v2", *_H2C), (200,), STAYS, "9110, 7.8"),
    Rule("the same with a body", infer(LENGTH, *_H2C), (200,), STAYS, "9110, 7.8: after the whole request"),
    Rule("the same in chunks", infer(CHUNKED, *_H2C, body=WHOLE), (200,), STAYS, "9110, 7.8"),
    Rule(
        "the same among others",
        get() + infer(LENGTH, *_H2C) + get("/v2", *_H2C) + infer(LENGTH),
        (200,) * 4,
        STAYS,
        "9110, 7.8",
    ),
    Rule("the same and nowhere", get("/nowhere", *_H2C) + get(), (404, 200), STAYS, "9110, 7.8"),
    Rule(
        "the same and waiting for leave",
        infer(LENGTH, "expect: 100-continue", *_H2C),
        (200,),
        STAYS,
        "9110, 7.8",
        leave=True,
    ),
    Rule(
        "the same, and a request as the body",
        infer(f"content-length: {len(SMUGGLED)}", *_H2C, body=SMUGGLED),
        (400,),
        STAYS,
        "9112, 6.3",
    ),
    Rule(
        "the same and a length of many zeros",
        infer(f"content-length: {len(BODY):040}", *_H2C),
        (200,),
        STAYS,
        "9112, 6.2",
    ),
    Rule(
        "the same with a body that ends early", infer(f"content-length: {len(BODY) + 1}", *_H2C), (), CLOSES, "9112, 8"
    ),
    Rule("the same and close", infer(LENGTH, "connection: close", *_H2C) + get(), (200,), CLOSES, "9112, 9.6"),
    Rule("the same over HTTP/1.0", get("/v2", *_H2C, version="HTTP/1.0"), (200,), CLOSES, "9110, 7.8: MUST ignore"),
    Rule("an offer to nobody", get("/v2", "upgrade: h2c"), (200,), STAYS, "9110, 7.8: only with Connection"),
    Rule(
        "HTTP/2 without asking",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        (400,),
        CLOSES,
        "9113, 3.4: on a port that speaks HTTP/1.1",
    ),
    Rule("TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", (400,), CLOSES, "9112, 2.2"),
    Rule("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", (400,), CLOSES, "9112, 2.2"),
)
