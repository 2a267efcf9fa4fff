"""Rules of where bodies end: lengths, codings, chunks and trailers."""

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
    chunks,
    get,
    infer,
    raw,
)

LENGTHS = (
    Rule("a length with zeros", infer(f"content-length: 000{len(BODY)}"), (200,), STAYS, "9112, 6.2: 1*DIGIT"),
    Rule("a length with blanks around it", infer(f"content-length: \t{len(BODY)} \t"), (200,), STAYS, "9110, 5.5"),
    Rule("neither length nor chunks", infer(body=b""), (400,), STAYS, "9112, 6.3, 7: the body is empty"),
    Rule("a length of 0", infer("content-length: 0", body=b""), (400,), STAYS, "9112, 6.3, 6"),
    Rule("a length of 0 and a request behind", infer("content-length: 0", body=get()), (400, 200), STAYS, "9112, 6.3"),
    Rule("a length too short", infer("content-length: 5"), (400, 400), CLOSES, "9112, 6.3: the rest is no request"),
    Rule("a length too long, then the end", infer(f"content-length: {len(BODY) + 1}"), (), CLOSES, "9112, 8: MUST"),
    Rule("an equal length twice", infer(LENGTH, LENGTH), (400,), CLOSES, "9112, 6.3, 5"),
    Rule("other lengths", infer(LENGTH, "content-length: 0"), (400,), CLOSES, "9112, 6.3, 5: MUST"),
    Rule("other lengths the other way", infer("content-length: 0", LENGTH), (400,), CLOSES, "9112, 6.3, 5: MUST"),
    *[
        Rule(f"a length that is none: {given!r}", infer(f"content-length:{given}"), (400,), CLOSES, "9112, 6.3, 5")
        for given in ("", " +7", " -7", " 7.0", " 7,7", " 7 7", " 0x7", " 7_0", " \x0b7", " 7;a", " 1e1", " \xb2")
    ],
    Rule("more digits than 64 bits", infer(f"content-length: {2**64}"), (400,), CLOSES, "9110, 8.6: guard overflow"),
    Rule("a length of another name", infer(LENGTH, "content_length: 1"), (200,), STAYS, "9110, 5.1: another header"),
    Rule(
        "a length that the connection claims",
        infer(LENGTH, "connection: content-length"),
        (200,),
        STAYS,
        "9110, 7.6.1: the framing stays what it is",
    ),
    Rule("a body with GET", get("/v2", "content-length: 5") + b"abcde", (200,), STAYS, "9110, 9.3.1: read past it"),
    Rule(
        "a request as the body of GET",
        get("/v2", f"content-length: {len(SMUGGLED)}") + SMUGGLED,
        (200,),
        STAYS,
        "9112, 6.3: a body is never a request",
    ),
    Rule(
        "a request as the body of what is not found",
        get("/nowhere", f"content-length: {len(SMUGGLED)}") + SMUGGLED,
        (404,),
        STAYS,
        "9112, 6.3",
    ),
    Rule(
        "a request as the body of a wrong method",
        raw("DELETE /v2 HTTP/1.1", "host: a", CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        (405,),
        STAYS,
        "9112, 6.3",
    ),
)


CODINGS = (
    Rule("chunked in other letters", infer("Transfer-Encoding: ChunKED", body=WHOLE), (200,), STAYS, "9112, 7: case"),
    Rule("chunked with GET", get("/v2", CHUNKED) + b"3\r\nabc\r\n0\r\n\r\n", (200,), STAYS, "9112, 6.1: read past it"),
    Rule(
        "a length and chunks",
        infer(LENGTH, CHUNKED, body=WHOLE + SMUGGLED),
        (400,),
        CLOSES,
        "9112, 6.3, 3: ought to be an error",
    ),
    Rule(
        "chunks and a length",
        infer(CHUNKED, "content-length: 4", body=WHOLE + SMUGGLED),
        (400,),
        CLOSES,
        "9112, 6.3, 3",
    ),
    *[
        Rule(f"coded otherwise: {given!r}", infer(f"transfer-encoding:{given}", body=WHOLE), (400,), CLOSES, why)
        for given, why in (
            ("", "9112, 6.1: one coding at least"),
            (" identity", "9112, 7: no longer registered"),
            (" gzip", "9112, 6.3, 4: its end is unknown"),
            (" gzip, chunked", "9112, 6.1: 501, or 400"),
            (" chunked, gzip", "9112, 6.3, 4: MUST"),
            (" chunked, chunked", "9112, 6.1: MUST NOT"),
            (" chunked;q=1", "9112, 7.1: no parameters"),
            (' "chunked"', "9112, 7: a token"),
            (" \x0bchunked", "9110, 5.5"),
            (" xchunked", "9112, 7"),
            (" chunked\0", "9110, 5.5"),
        )
    ],
    Rule("chunked twice", infer(CHUNKED, CHUNKED, body=WHOLE), (400,), CLOSES, "9112, 6.1"),
    Rule("chunked beside identity", infer(CHUNKED, "transfer-encoding: identity"), (400,), CLOSES, "9112, 6.1"),
    Rule("a coding of another name", infer(LENGTH, "transfer_encoding: chunked"), (200,), STAYS, "9110, 5.1"),
    Rule(
        "a coding with a blank in its name", infer("transfer-encoding : chunked", LENGTH), (400,), CLOSES, "9112, 5.1"
    ),
    Rule("a folded coding", infer(LENGTH, "x: 1", " transfer-encoding: chunked"), (400,), CLOSES, "9112, 5.2"),
    Rule("a coding behind a bare LF", infer(LENGTH, "x: 1\ntransfer-encoding: chunked"), (400,), CLOSES, "9112, 2.2"),
    Rule("a coding behind a bare CR", infer(LENGTH, "x: 1\rtransfer-encoding: chunked"), (400,), CLOSES, "9112, 2.2"),
    Rule(
        "chunks over HTTP/1.0",
        infer(CHUNKED, body=WHOLE, line=INFER.replace("1.1", "1.0")),
        (400,),
        CLOSES,
        "9112, 6.1: faulty framing",
    ),
    Rule(
        "a coding that the client would take",
        get("/v2", "te: trailers", "connection: te"),
        (200,),
        STAYS,
        "9110, 10.1.4",
    ),
)


_SIZE = b"%x" % len(BODY)
CHUNKS = (
    Rule(
        "a size in capitals and with zeros",
        chunks(WHOLE.replace(_SIZE, b"000" + _SIZE.upper(), 1)),
        (200,),
        STAYS,
        "9112, 7.1",
    ),
    Rule(
        "a last chunk of more zeros",
        chunks(WHOLE.replace(b"\r\n0\r\n", b"\r\n000\r\n")),
        (200,),
        STAYS,
        "9112, 7.1: 1*(0)",
    ),
    Rule(
        "a body in many chunks",
        chunks(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
        (200,),
        STAYS,
        "9112, 7.1",
    ),
    *[
        Rule(
            f"an extension: {given.decode()}",
            chunks(WHOLE.replace(_SIZE, _SIZE + given, 1)),
            (200,),
            STAYS,
            "9112, 7.1.1: MUST ignore",
        )
        for given in (b";a", b";a=b", b';a="b c"', b";a;b=c;d", b';a="\\""')
    ],
    Rule(
        "an extension of the last chunk",
        chunks(WHOLE.replace(b"\r\n0\r\n", b"\r\n0;a=b\r\n")),
        (200,),
        STAYS,
        "9112, 7.1.1",
    ),
    *[
        Rule(
            f"an extension that is none: {given!r}",
            chunks(WHOLE.replace(_SIZE, _SIZE + given, 1)),
            (400,),
            CLOSES,
            "9112, 7.1.1",
        )
        for given in (b";\n", b";a\nb", b";a\rb", b';a="\r\n"', b";a\0", b" x")
    ],
    *[
        Rule(f"a size that is none: {given!r}", chunks(WHOLE.replace(_SIZE, given, 1)), (400,), CLOSES, "9112, 7.1")
        for given in (b"", b"+48", b"-48", b"0x48", b" 48", b"4 8", b"4g", b"4_8", b"f" * 17, b"1" + b"0" * 16)
    ],
    Rule("bare LF behind a size", chunks(WHOLE.replace(_SIZE + b"\r", _SIZE, 1)), (400,), CLOSES, "9112, 7.1: CRLF"),
    Rule(
        "bare CR behind a size", chunks(WHOLE.replace(_SIZE + b"\r\n", _SIZE + b"\r", 1)), (400,), CLOSES, "9112, 7.1"
    ),
    Rule("bare LF behind a chunk", chunks(WHOLE.replace(b"}\r\n0", b"}\n0")), (400,), CLOSES, "9112, 7.1"),
    Rule("nothing behind a chunk", chunks(WHOLE.replace(b"}\r\n0", b"}0")), (400,), CLOSES, "9112, 7.1"),
    Rule("a chunk longer than its size", chunks(WHOLE.replace(b"}\r\n0", b"}}\r\n0")), (400,), CLOSES, "9112, 7.1"),
    Rule("no last chunk, then the end", chunks(WHOLE[:-5]), (), CLOSES, "9112, 8: incomplete"),
    Rule("no end behind the last chunk", chunks(WHOLE[:-2]), (), CLOSES, "9112, 8: incomplete"),
    Rule("an extension without end", chunks(_SIZE + b";" + b"a" * 600_000), (431,), CLOSES, "9112, 7.1.1: limit them"),
)


TRAILERS = (
    Rule("trailers", chunks(WHOLE[:-2] + b"x: 1\r\ny: 2\r\n\r\n"), (200,), STAYS, "9112, 7.1.2: may be ignored"),
    Rule(
        "a length as a trailer",
        chunks(WHOLE[:-2] + b"content-length: 9\r\n\r\n"),
        (400,),
        CLOSES,
        "9110, 6.5.1: MUST NOT",
    ),
    Rule(
        "a coding as a trailer",
        chunks(WHOLE[:-2] + b"transfer-encoding: chunked\r\n\r\n"),
        (400,),
        CLOSES,
        "9110, 6.5.1: MUST NOT",
    ),
    Rule("a Host as a trailer", chunks(WHOLE[:-2] + b"host: b\r\n\r\n"), (200,), STAYS, "9110, 6.5.1"),
    Rule(
        "closing as a trailer, and not doing it",
        chunks(WHOLE[:-2] + b"connection: close\r\n\r\n") + get(),
        (200, 400),
        CLOSES,
        "9110, 6.5.1",
    ),
    Rule(
        "another protocol as a trailer",
        chunks(WHOLE[:-2] + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n") + get(),
        (200, 200),
        STAYS,
        "9110, 6.5.1: ignored",
    ),
    Rule("a trailer without a name", chunks(WHOLE[:-2] + b": 1\r\n\r\n"), (400,), CLOSES, "9112, 7.1.2"),
    Rule("a trailer with a blank in its name", chunks(WHOLE[:-2] + b"x y: 1\r\n\r\n"), (400,), CLOSES, "9112, 7.1.2"),
    Rule("a folded trailer", chunks(WHOLE[:-2] + b"x: 1\r\n 2\r\n\r\n"), (400,), CLOSES, "9112, 5.2"),
    Rule("a trailer with NUL", chunks(WHOLE[:-2] + b"x: \0\r\n\r\n"), (400,), CLOSES, "9110, 5.5"),
    Rule("too many trailers", chunks(WHOLE[:-2] + b"x: 1\r\n" * 101 + b"\r\n"), (431,), CLOSES, "6585, 5"),
    Rule("a trailer without end", chunks(WHOLE[:-2] + b"x: " + b"1" * 600_000), (431,), CLOSES, "6585, 5"),
)
