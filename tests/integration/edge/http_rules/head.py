"""Rules of request lines, versions and header fields."""

from __future__ import annotations

from tests.integration.edge.http_rules.rule import CLOSES, STAYS, Rule, get, raw

LINES = (
    Rule("an empty line before a request", b"\r\n" + get(), (200,), STAYS, "9112, 2.2: ignore at least one"),
    Rule("empty lines between requests", get() + b"\r\n\r\n" + get(), (200, 200), STAYS, "9112, 2.2"),
    Rule("blanks before a request", b"  " + get(), (400,), CLOSES, "9112, 3: a method begins the line"),
    Rule("a method in small letters", get().replace(b"GET", b"get"), (400,), CLOSES, "9110, 9.1: case matters"),
    Rule("a method with a delimiter", get().replace(b"GET", b"G@T"), (400,), CLOSES, "9110, 9.1: a token"),
    Rule("a method that nobody has", get().replace(b"GET", b"FETCH"), (400,), CLOSES, "9110, 15.6.2: or 501"),
    Rule("no target", raw("GET HTTP/1.1", "host: a"), (400,), CLOSES, "9112, 3"),
    Rule("a blank in the target", get("/v2 /x"), (400,), CLOSES, "9112, 3.2: 400 for an invalid request line"),
    Rule("a tab for a blank", get().replace(b" /v2", b"\t/v2"), (400,), CLOSES, "9112, 3: single SP"),
    Rule("bare CR in the line", get("/v2\r"), (400,), CLOSES, "9112, 2.2: bare CR is invalid"),
    Rule("bare LF ends the line", get().replace(b"\r\n", b"\n", 1), (400,), CLOSES, "9112, 2.2: may be taken, is not"),
    Rule("bare LF everywhere", get().replace(b"\r\n", b"\n"), (400,), CLOSES, "9112, 2.2"),
    Rule("a control character in the target", get("/v2\x07"), (400,), CLOSES, "9112, 3.2"),
    Rule("bytes beyond ASCII in the target", get("/v2/models/\xe9"), (400,), CLOSES, "3986, 2: they are encoded"),
    Rule("an encoded NUL in the target", get("/v2/models/a%00b"), (404,), STAYS, "9110, 15.5.5: no such resource"),
    Rule("a broken percent-encoding", get("/v2/models/%zz"), (404,), STAYS, "9110, 15.5.5"),
    Rule("dots in the target", get("/v2/../v2"), (404,), STAYS, "9110, 4.2.3: no path is walked here"),
    Rule("two slashes in the target", get("//v2"), (404,), STAYS, "9110, 4.2.3: another path"),
    Rule("a query", get("/v2?x=1&y"), (200,), STAYS, "9112, 3.2.1"),
    Rule("the form of an absolute target", get("http://else.where:1/v2"), (200,), STAYS, "9112, 3.2.2: MUST accept"),
    Rule("the same with https", get("HTTPS://else.where/v2"), (200,), STAYS, "9112, 3.2.2; 3986, 3.1"),
    Rule("an absolute target without a path", get("http://else.where"), (200,), STAYS, "9110, 4.2.3: means /"),
    Rule("another scheme", get("ftp://a/v2"), (404,), STAYS, "9110, 15.5.5"),
    Rule("the form of an authority", get("a:80"), (400,), CLOSES, "9112, 3.2.3: only for CONNECT"),
    Rule("the form of an asterisk", raw("OPTIONS * HTTP/1.1", "host: a"), (404,), STAYS, "9112, 3.2.4: may be refused"),
    Rule("the asterisk of another method", get("*"), (404,), STAYS, "9112, 3.2.4: only for OPTIONS"),
)


VERSIONS = (
    Rule("HTTP/0.9", b"GET /v2\r\n\r\n", (505,), CLOSES, "9110, 15.6.6: or 400"),
    Rule("a version in small letters", get(version="http/1.1"), (400,), CLOSES, "9112, 2.3: case matters"),
    Rule("a version of one digit", get(version="HTTP/1"), (400,), CLOSES, "9112, 2.3: DIGIT.DIGIT"),
    Rule("a version of more digits", get(version="HTTP/1.10"), (400,), CLOSES, "9112, 2.3"),
    Rule("HTTP/2.0 by its line", get(version="HTTP/2.0"), (505,), CLOSES, "9110, 15.6.6"),
    Rule("HTTP/3.0 by its line", get(version="HTTP/3.0"), (400,), CLOSES, "9110, 15.6.6: or 505"),
    Rule("another protocol by its line", get(version="ICE/1.0"), (400,), CLOSES, "9112, 2.3: HTTP"),
    # The parser knows RTSP and does not tell it from HTTP; its framing is that of 1.0.
    Rule("a version of RTSP", get(version="RTSP/1.0"), (200,), CLOSES, "9112, 2.3: had better be 400"),
)


FIELDS = (
    Rule("an empty Host", raw("GET /v2 HTTP/1.1", "host:"), (200,), STAYS, "9112, 3.2: empty where there is none"),
    Rule("a Host with a port", raw("GET /v2 HTTP/1.1", "host: a:80"), (200,), STAYS, "9110, 7.2"),
    Rule("a Host of IPv6", raw("GET /v2 HTTP/1.1", "host: [::1]:80"), (200,), STAYS, "9110, 7.2"),
    *[
        Rule(f"a Host that is none: {host}", raw("GET /v2 HTTP/1.1", f"host: {host}"), (400,), CLOSES, "9112, 3.2")
        for host in ("a b", "a, b", "a/b", "b@a", "a:b", "a?", "[::1", "a\\b", "a\xe9")
    ],
    Rule("two Hosts over HTTP/1.0", raw("GET /v2 HTTP/1.0", "host: a", "host: a"), (400,), CLOSES, "9112, 3.2: any"),
    Rule("a Host and an absolute target that differ", get("http://b/v2"), (200,), STAYS, "9112, 3.2.2: ignore it"),
    Rule("no Host with an absolute target", raw("GET http://a/v2 HTTP/1.1"), (400,), CLOSES, "9112, 3.2: MUST"),
    Rule("a blank before the first header", raw("GET /v2 HTTP/1.1", " host: a"), (400,), CLOSES, "9112, 2.2"),
    Rule("a blank before a colon", get("/v2", "x : 1"), (400,), CLOSES, "9112, 5.1: MUST"),
    Rule("a tab before a colon", get("/v2", "x\t: 1"), (400,), CLOSES, "9112, 5.1"),
    Rule("a folded value", get("/v2", "x: 1", " 2"), (400,), CLOSES, "9112, 5.2: refuse"),
    Rule("a value folded with nothing", get("/v2", "x: 1", " "), (400,), CLOSES, "9112, 5.2"),
    Rule("no name", get("/v2", ": 1"), (400,), CLOSES, "9110, 5.1: a token"),
    Rule("no colon", get("/v2", "x"), (400,), CLOSES, "9112, 5"),
    Rule("a name with a blank", get("/v2", "x y: 1"), (400,), CLOSES, "9110, 5.1"),
    Rule("a name beyond ASCII", get("/v2", "x\xe9: 1"), (400,), CLOSES, "9110, 5.1"),
    Rule("a name with a bracket", get("/v2", "x(y): 1"), (400,), CLOSES, "9110, 5.1"),
    Rule("every character of a token", get("/v2", "!#$%&'*+-.^_`|~09Az: 1"), (200,), STAYS, "9110, 5.6.2"),
    Rule("a value with NUL", get("/v2", "x: a\0b"), (400,), CLOSES, "9110, 5.5: refuse"),
    Rule("a value with a bare CR", get("/v2", "x: a\rb"), (400,), CLOSES, "9110, 5.5"),
    Rule("a value with a bare LF", get("/v2", "x: a\ny: b"), (400,), CLOSES, "9110, 5.5"),
    Rule("a value with another control", get("/v2", "x: a\x01b"), (400,), CLOSES, "9110, 5.5: may be taken, is not"),
    Rule("a value beyond ASCII", get("/v2", "x: \xff"), (200,), STAYS, "9110, 5.5: obs-text is opaque"),
    Rule("a value with tabs", get("/v2", "x:\t1\t2\t"), (200,), STAYS, "9110, 5.5"),
    Rule("an empty value", get("/v2", "x:"), (200,), STAYS, "9110, 5.5"),
    Rule("a value of nothing but blanks", get("/v2", "x:  \t "), (200,), STAYS, "9110, 5.5"),
)
