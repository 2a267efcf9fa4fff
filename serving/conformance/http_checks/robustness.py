"""HTTP below the protocol: where requests begin and end, and that nobody is answered with somebody else's answer."""

from __future__ import annotations

import time

from serving.conformance.check import Check, Failed, Severity, Skipped, expect
from serving.conformance.exchange import Answer
from serving.conformance.http_checks.sources import HTTP, HTTP_1
from serving.conformance.infer_message import json_body, outputs_of
from serving.conformance.server import Server, path_of
from serving.conformance.wire import Wire, request_bytes, wire_to

_OK, _CLIENT_ERROR, _SERVER_ERROR = 200, 400, 500
# How long something is waited for that must not come; a server that answers is quicker.
_QUIET_S = 0.5
# So that the first pieces are read one by one.
_PIECES_APART, _PAUSE_S = 48, 0.005
_LARGE = 70 * 1024 * 1024
_BLOCK = bytes(1024 * 1024)


def _pipelined(server: Server) -> None:
    path, body = _infer(server)
    asked = [f"pipelined-{number}" for number in range(4)]
    requests = [request_bytes(server.http, "POST", path, _with_id(body, one), _JSON) for one in asked]
    with wire_to(server.http) as wire:
        wire.send(b"".join(requests))
        for one in asked:
            answer = _answered(wire)
            got = answer.object().get("id")
            expect(got == one, f"the answer to {one!r} was asked, {got!r} came")
            if (answer.header("connection") or "").lower() == "close":
                raise Skipped("the connection is closed after the first answer, which is said")


def _keep_alive(server: Server) -> None:
    path, body = _infer(server)
    with wire_to(server.http) as wire:
        for _ in range(3):
            wire.send(request_bytes(server.http, "POST", path, body, _JSON))
            outputs_of(_answered(wire))


def _after_error(server: Server) -> None:
    path, body = _infer(server)
    with wire_to(server.http) as wire:
        wire.send(request_bytes(server.http, "POST", path, b"neither", _JSON))
        refused = _answered(wire)
        expect(refused.status >= _CLIENT_ERROR, f"what is no JSON is answered {refused.status}")
        if (refused.header("connection") or "").lower() == "close":
            raise Skipped("the connection is closed after an error, which is said")
        wire.send(request_bytes(server.http, "POST", path, body, _JSON))
        outputs_of(_answered(wire))


def _in_pieces(server: Server) -> None:
    path, body = _infer(server)
    whole = request_bytes(server.http, "POST", path, body, _JSON)
    with wire_to(server.http) as wire:
        for at in range(0, len(whole), 16):
            wire.send(whole[at : at + 16])
            if at < _PIECES_APART:
                time.sleep(_PAUSE_S)
        outputs_of(_answered(wire))


def _http_1_0(server: Server) -> None:
    with wire_to(server.http) as wire:
        wire.send(f"GET {server.http.prefix}/v2 HTTP/1.0\r\n\r\n".encode())
        expect(_answered(wire).status == _OK, "an HTTP/1.0 request is not answered 200")


def _no_host(server: Server) -> None:
    _refused(server, f"GET {server.http.prefix}/v2 HTTP/1.1\r\n\r\n".encode(), "HTTP/1.1 without Host")


def _absolute(server: Server) -> None:
    client = server.http
    line = f"GET http://{client.authority}{client.prefix}/v2 HTTP/1.1\r\nHost: {client.authority}\r\n\r\n"
    with wire_to(client) as wire:
        wire.send(line.encode())
        expect(_answered(wire).status == _OK, "a request for an absolute URL is not answered 200")


def _continue(server: Server) -> None:
    path, body = _infer(server)
    whole = request_bytes(server.http, "POST", path, body, _JSON, "Expect: 100-continue")
    head, _, content = whole.partition(b"\r\n\r\n")
    with wire_to(server.http) as wire:
        wire.send(head + b"\r\n\r\n")
        # The standard library reads over a 100 to the answer behind it, which comes once the body is there.
        wire.send(content)
        outputs_of(_answered(wire))


def _two_lengths(server: Server) -> None:
    path, body = _infer(server)
    # Both lengths end in the blanks behind the document, so that whoever believes one of them answers.
    padded = body + b"  "
    whole = request_bytes(server.http, "POST", path, padded, _JSON, f"Content-Length: {len(padded) - 1}")
    _refused(server, whole, "two different lengths")


def _bad_lengths(server: Server) -> None:
    path, body = _infer(server)
    for length in (f"+{len(body)}", "-1", f"{len(body)}x", "0x10"):
        _refused(server, _head(server, path, f"Content-Length: {length}") + body, f"a length of {length!r}")


def _length_and_chunks(server: Server) -> None:
    """RFC 9112, 6.3: chunked wins and the connection closes, or the request is refused; the length never wins."""
    path, body = _infer(server)
    hidden = request_bytes(server.http, "GET", "/v2/oip-smuggled")
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) + hidden
    head = _head(server, path, f"Content-Length: {len(chunked) - len(hidden)}", "Transfer-Encoding: chunked")
    with wire_to(server.http) as wire:
        wire.send(head + chunked)
        first = wire.read("POST")
        if first is None:
            return
        expect(first.status != _SERVER_ERROR, "a request with both is answered 500")
        second = wire.read("GET", _QUIET_S)
        expect(second is None, "what follows a request with length and chunks is taken for a request and answered")


def _bad_chunk(server: Server) -> None:
    path, _body = _infer(server)
    head = _head(server, path, "Transfer-Encoding: chunked")
    _refused(server, head + b"xyz\r\nabc\r\n0\r\n\r\n", "a chunk of size 'xyz'")


def _truncated(server: Server) -> None:
    path, body = _infer(server)
    # A body of which everything that matters has come: only its length says that it is cut off.
    whole = request_bytes(server.http, "POST", path, body + b" " * 8, _JSON)
    _never_ok(server, whole[:-4], "a body that was cut off")


def _truncated_chunks(server: Server) -> None:
    path, body = _infer(server)
    cut = _head(server, path, "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n" % (len(body), body)
    _never_ok(server, cut, "chunks that were cut off")


def _garbage(server: Server) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"no http\r\n\r\n", b"\r\n" * 64):
        with wire_to(server.http) as wire:
            wire.send(garbage)
            wire.no_more()
            answer = wire.read(within_s=_QUIET_S)
            expect(answer is None or answer.status >= _CLIENT_ERROR, "what is no HTTP is answered as if it were")
    server.get("/v2/health/live")


def _large_body(server: Server) -> None:
    path, _body = _infer(server)
    head = _head(server, path, f"Content-Length: {_LARGE}")
    with wire_to(server.http) as wire:
        wire.send(head)
        for _ in range(_LARGE // len(_BLOCK)):
            if not wire.send_quietly(_BLOCK):
                break
        answer = wire.read("POST")
        expect(answer is not None, "70 MB are ended without an answer that reaches the client")
        expect(answer is None or answer.status >= _CLIENT_ERROR, "70 MB of zeros are answered as if they were right")


def _huge_length(server: Server) -> None:
    path, _body = _infer(server)
    head = _head(server, path, f"Content-Length: {1 << 50}")
    with wire_to(server.http) as wire:
        wire.send(head)
        answer = wire.read("POST", within_s=2.0)
        status = answer.status if answer else None
        expect(status == 413, f"a body of a petabyte is announced and answered {status}, not 413")  # noqa: PLR2004


def _refused(server: Server, data: bytes, what: str) -> None:
    with wire_to(server.http) as wire:
        wire.send(data)
        wire.no_more()
        answer = wire.read("POST")
        expect(answer is None or answer.status >= _CLIENT_ERROR, f"{what}: answered {answer.status if answer else ''}")


def _never_ok(server: Server, data: bytes, what: str) -> None:
    with wire_to(server.http) as wire:
        wire.send(data)
        wire.no_more()
        answer = wire.read("POST", within_s=2.0)
        expect(answer is None or answer.status >= _CLIENT_ERROR, f"{what} is answered as if it were whole")


def _answered(wire: Wire) -> Answer:
    answer = wire.read("POST")
    if answer is None:
        raise Failed("the connection ended, or nothing came in time")
    return answer


def _infer(server: Server) -> tuple[str, bytes]:
    model = server.any_model()
    return f"{path_of(model.name)}/infer", json_body(model.telling_inputs())


def _head(server: Server, path: str, *more: str) -> bytes:
    lines = (f"POST {server.http.prefix}{path} HTTP/1.1", f"Host: {server.http.authority}", _JSON, *more)
    return "\r\n".join((*lines, "", "")).encode()


def _with_id(body: bytes, identity: str) -> bytes:
    return b'{"id": "%b", %b' % (identity.encode(), body[1:])


_JSON = "Content-Type: application/json"
CHECKS = (
    Check(
        "http.wire.keep-alive",
        "Several requests go over one connection.",
        HTTP_1 + ", 9.3",
        _keep_alive,
        Severity.RECOMMENDED,
    ),
    Check("http.wire.pipelined", "Pipelined requests are answered in their order.", HTTP_1 + ", 9.3.2", _pipelined),
    Check(
        "http.wire.after-error",
        "After an error the connection goes on, or says that it ends.",
        HTTP_1 + ", 9.6",
        _after_error,
    ),
    Check("http.wire.in-pieces", "A request that comes in small pieces is answered.", HTTP_1 + ", 2", _in_pieces),
    Check("http.wire.http-1.0", "HTTP/1.0 is answered.", HTTP + ", 2.5", _http_1_0),
    Check("http.wire.no-host", "HTTP/1.1 without Host is refused.", HTTP_1 + ", 3.2", _no_host),
    Check("http.wire.absolute", "The absolute form of a URL is understood.", HTTP_1 + ", 3.2.2", _absolute),
    Check("http.wire.continue", "Who expects 100-continue is answered.", HTTP + ", 10.1.1", _continue),
    Check("http.wire.two-lengths", "Two different lengths are refused.", HTTP_1 + ", 6.3", _two_lengths),
    Check("http.wire.bad-length", "A length that is no number is refused.", HTTP_1 + ", 6.3", _bad_lengths),
    Check(
        "http.wire.length-and-chunks",
        "What follows a request with a length and chunks is not taken for another request.",
        HTTP_1 + ", 6.3",
        _length_and_chunks,
    ),
    Check("http.wire.bad-chunk", "A chunk without a size is refused.", HTTP_1 + ", 7.1", _bad_chunk),
    Check("http.wire.truncated", "A body that was cut off is no request.", HTTP_1 + ", 8", _truncated),
    Check("http.wire.truncated-chunks", "Nor are chunks without an end.", HTTP_1 + ", 8", _truncated_chunks),
    Check("http.wire.garbage", "What is no HTTP is refused, and the server lives.", HTTP_1, _garbage),
    Check(
        "http.wire.large-body",
        "The answer to 70 MB that make no sense reaches the client.",
        HTTP + ", 15.5.14",
        _large_body,
        Severity.RECOMMENDED,
    ),
    Check(
        "http.wire.huge-length",
        "A body of a petabyte is refused by its length, as 413.",
        HTTP + ", 15.5.14",
        _huge_length,
        Severity.RECOMMENDED,
    ),
)
