"""Byte streams of requests for the differential test: right ones, and ones that are odd where framing is decided."""

from __future__ import annotations

from hypothesis import strategies as st

_METHODS = st.sampled_from(["POST", "GET", "POST", "HEAD", "PUT", "OPTIONS", "post", "BREW", "CONNECT", "M-SEARCH"])
_TARGETS = st.sampled_from(
    [
        *("/v2/models/mlp/infer", "/v2", "/v2/models/mlp/infer", "http://a/v2", "*", "a:443", "/v2?x=1"),
        *("/v2/models/%2e%2e/infer", "/v2/../x", "//v2", "/v\x7f2", "/v2#x", "/\xff", ""),
    ]
)
_VERSIONS = st.sampled_from(
    ["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "HTTP/11", "HTP/1.1"]
)
_HOSTS = st.sampled_from([["host: a"]] * 8 + [[], ["host: a", "host: a"], ["Host:"], ["host : a"], [" host: a"]])
_HEADERS = st.sampled_from(
    [
        *("x: 1", "X-Y:2", "x:", "x:\t1 \t", "x: \xff", "x: a\tb", "~`|!#$%&'*+-.^_: 1", "x-empty:   "),
        *("connection: close", "connection: keep-alive", "Connection: x, Close", "connection: upgrade"),
        *["connection: upgrade\r\nupgrade: h2c"] * 4,
        *("upgrade: websocket", "expect: 100-continue", "expect: x", "te: trailers", "trailer: x"),
        *(
            "x y: 1",
            "x\x00: 1",
            "x: \x00",
            "x: \x7f",
            "x: a\rb",
            "x: a\nb",
            ": 1",
            "x",
            " folded",
            "\tfolded",
            "x\x0b: 1",
        ),
        *("content-length: 1", "transfer-encoding: identity", "content-length : 3"),
    ]
)
_LENGTHS = st.sampled_from(
    ["%d"] * 10
    + ["+%d", "-%d", "0%d", " %d ", "%d\t", "%d, %d", "%d,%d", "0x%d", "%d.0", "%d_0", "1%d", "", "\u0661", "%d a"]
)
_CODINGS = st.sampled_from(
    ["chunked"] * 10
    + [
        "Chunked",
        " chunked ",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "xchunked",
        "chunked;q=1",
        "identity",
    ]
    + ["chunked\x0b", "\x0bchunked", "chunke", "", "chunked,", ",chunked"]
)
_ENDS = st.sampled_from(["\r\n"] * 30 + ["\n", "\r", "\n\r", "\r\r\n"])
_BODIES = st.binary(max_size=12) | st.sampled_from([b"GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n", b"\r\n", b"0\r\n\r\n"])
_SIZES = st.sampled_from(
    ["%x"] * 10
    + ["%X", "0%x", "00000000%x", "0x%x", "+%x", "-%x", " %x", "%x ", "%x\t", "%xg", "", "%x;a=b", "%x;", "%x ;a"]
    + ['%x;a="b"', "%x;a\x00", "%x;\n", "ffffffffffffffff%x", "1%x", "%x\r"]
)
_TRAILERS = st.sampled_from(
    [b"\r\n"] * 6
    + [b"x: 1\r\n\r\n", b"content-length: 5\r\n\r\n", b"\n", b"", b"x y: 1\r\n\r\n", b" x: 1\r\n\r\n", b"\rx"]
)
_BETWEEN = st.sampled_from([b""] * 10 + [b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\0"])


@st.composite
def _chunked(draw: st.DrawFn) -> bytes:
    pieces = []
    for piece in draw(st.lists(_BODIES.filter(len), max_size=3)):
        size = draw(_SIZES)
        said = size % len(piece) if "%" in size else size
        pieces.append(said.encode("latin-1") + draw(_ENDS).encode() + piece + draw(_ENDS).encode())
    last = draw(st.sampled_from([b"0\r\n"] * 8 + [b"00\r\n", b"0;x\r\n", b"0\n", b"", b"-0\r\n"]))
    return b"".join(pieces) + last + draw(_TRAILERS)


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    lines = [f"{draw(_METHODS)} {draw(_TARGETS)} {draw(_VERSIONS)}", *draw(_HOSTS)]
    lines += draw(st.lists(_HEADERS, max_size=2))
    body = b""
    framing = draw(st.sampled_from(["none", "length", "length", "chunks", "chunks", "both", "two"]))
    if framing in ("length", "both", "two"):
        body = draw(_BODIES)
        for _ in range(2 if framing == "two" else 1):
            length = draw(_LENGTHS)
            lines.append("content-length: " + length.replace("%d", str(len(body))))
    if framing in ("chunks", "both"):
        lines.append(f"transfer-encoding: {draw(_CODINGS)}")
        body = draw(_chunked())
    head = "".join([line + draw(_ENDS) for line in [*lines, ""]])
    return head.encode("utf-8" if not head.isascii() else "latin-1") + body + draw(_BETWEEN)


_CHUNKS = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
_RIGHT = st.sampled_from(
    [
        b"POST /v2/models/mlp/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
        b"POST /v2/models/mlp/infer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + _CHUNKS,
        b"GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /v2/models/mlp/infer HTTP/1.0\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\nx",
    ]
)


_MARKS = st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b":", b"0"])


@st.composite
def _changed(draw: st.DrawFn) -> bytes:
    data = bytearray(b"".join(draw(st.lists(_RIGHT, min_size=1, max_size=3))))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        removed = draw(st.integers(0, 3))
        data[at : at + removed] = draw(
            st.binary(max_size=2) | st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b":", b"0"])
        )
    return bytes(data)


STREAMS = st.lists(_request() | _RIGHT, min_size=1, max_size=3).map(b"".join) | _changed()
