"""Paths, headers and framing that cannot be answered, each with its status and what its error must name."""

from __future__ import annotations

from tests.e2e.bad_request import DOUBLER, GOOD_BODY, Bad, posted, raw
from tests.e2e.http_client import request_bytes

_LENGTH = f"content-length: {len(GOOD_BODY)}"
_POST = f"POST {DOUBLER} HTTP/1.1"
_CHUNKED = "transfer-encoding: chunked"
_CHUNK = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"

PATHS = (
    Bad("unknown model", posted("/v2/models/nobody/infer", GOOD_BODY), 404, ("'nobody'", "doubler")),
    Bad("unknown model, named instances", posted("/v1/models/nobody:predict", {"instances": [1]}), 404, ("'nobody'",)),
    Bad("unknown version", posted("/v2/models/doubler/versions/9/infer", GOOD_BODY), 404, ("version 9", "[1]")),
    Bad("version of many digits", posted(f"/v2/models/doubler/versions/{'9' * 400}/infer", GOOD_BODY), 404, ()),
    Bad("version that is no number", posted("/v2/models/doubler/versions/one/infer", GOOD_BODY), 404, ("version",)),
    Bad("unknown model's page", request_bytes("GET", "/v2/models/nobody"), 404, ("'nobody'",)),
    Bad("unknown path", request_bytes("GET", "/predict"), 404, ("/predict", "/v2/models")),
    Bad("metrics on this port", request_bytes("GET", "/metrics"), 404, ("/metrics",)),
    Bad("unknown verb", posted("/v1/models/doubler:explain", {"instances": []}), 404, (":predict",)),
    Bad("path that climbs", posted("/v2/models/../../etc/passwd/infer", GOOD_BODY), 404, ()),
    *[
        Bad(f"path that climbs by {name}", posted(f"/v2/models/{name}/infer", GOOD_BODY), 404, ())
        for name in (
            "..%2f..%2fetc%2fpasswd",
            "%2e%2e",
            "..%5c..",
            "%252e%252e%252f",
            "doubler%00",
            "doubler%2f",
            "%2fdoubler",
        )
    ],
    *[
        Bad(
            f"version that climbs by {version}",
            posted(f"/v2/models/doubler/versions/{version}/infer", GOOD_BODY),
            404,
            (),
        )
        for version in ("..", "1%2f..%2f1", "%00", "-1", "1%00")
    ],
    Bad("name that is no UTF-8", posted("/v2/models/%ff%fe/infer", GOOD_BODY), 404, ()),
    Bad("GET to infer", request_bytes("GET", DOUBLER), 405, ("POST",)),
    Bad("DELETE of a model", request_bytes("DELETE", "/v2/models/doubler"), 405, ("GET",)),
    Bad("POST to health", posted("/v2/health/live", {}), 405, ("GET",)),
)

HEADERS = (
    *[
        Bad(
            f"time-out {value!r}",
            posted(DOUBLER, GOOD_BODY, {"x-request-timeout-ms": value}),
            400,
            ("x-request-timeout-ms", "positive"),
        )
        for value in ("soon", "-5", "0", "1e3", "", "nan", "9" * 30)
    ],
    *[
        Bad(
            f"priority {value!r}",
            posted(DOUBLER, GOOD_BODY, {"x-sluice-priority": value}),
            400,
            ("x-sluice-priority", "whole number"),
        )
        for value in ("high", "-1", "1.5", "")
    ],
    Bad("unknown variant", posted(DOUBLER, GOOD_BODY, {"x-sluice-variant": "canary"}), 400, ("'canary'", "stable")),
    Bad("compressed", posted(DOUBLER, b"\x1f\x8b\x08\x00", {"content-encoding": "gzip"}), 400, ("gzip",)),
    Bad("compressed by br", posted(DOUBLER, b"\0", {"content-encoding": "br"}), 415, ("br", "gzip, deflate")),
    Bad("nothing acceptable", posted(DOUBLER, GOOD_BODY, {"accept-encoding": "*;q=0"}), 406, ("gzip, deflate",)),
    Bad("a JSON part too short", posted(DOUBLER, GOOD_BODY, {"inference-header-content-length": "10"}), 400, ("JSON",)),
    Bad("no JSON part", posted(DOUBLER, GOOD_BODY, {"inference-header-content-length": "-1"}), 400, ("number",)),
    Bad("strange expectation", posted(DOUBLER, GOOD_BODY, {"expect": "200-ok"}), 417, ("100-continue",), closes=True),
    Bad("no host", raw(_POST, _LENGTH, body=GOOD_BODY), 400, ("Host",), closes=True),
    Bad("two hosts", raw(_POST, "host: a", "host: b", _LENGTH, body=GOOD_BODY), 400, ("Host",), closes=True),
    Bad(
        "101 headers",
        raw(_POST, "host: a", *["a: b"] * 101, _LENGTH, body=GOOD_BODY),
        431,
        ("100 headers",),
        closes=True,
    ),
    Bad(
        "100 kB of header",
        raw(_POST, "host: a", f"a: {'b' * 100_000}", _LENGTH, body=GOOD_BODY),
        431,
        ("32768",),
        closes=True,
    ),
)

FRAMING = (
    Bad("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, ("not HTTP",), closes=True),
    Bad("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, (), closes=True),
    Bad("unknown method", raw(f"BREW {DOUBLER} HTTP/1.1", "host: a"), 400, ("not HTTP",), closes=True),
    Bad(
        "length is no number",
        raw(_POST, "host: a", "content-length: ten", body=GOOD_BODY),
        400,
        ("ontent-",),
        closes=True,
    ),
    Bad("negative length", raw(_POST, "host: a", "content-length: -1"), 400, ("ontent-",), closes=True),
    Bad(
        "two lengths",
        raw(_POST, "host: a", _LENGTH, "content-length: 3", body=GOOD_BODY),
        400,
        ("ontent-",),
        closes=True,
    ),
    Bad("length and chunks", raw(_POST, "host: a", _LENGTH, _CHUNKED, body=b"0\r\n\r\n"), 400, (), closes=True),
    Bad("length beyond 64 bits", raw(_POST, "host: a", f"content-length: {'9' * 30}"), 400, (), closes=True),
    Bad(
        "length cuts the body short",
        raw(_POST, "host: a", "content-length: 20", body=GOOD_BODY),
        400,
        ("not JSON",),
        closes=True,
    ),
    Bad(
        "broken chunk size",
        raw(_POST, "host: a", _CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
        400,
        ("chunk",),
        closes=True,
    ),
    Bad(
        "a coding beside chunks",
        raw(_POST, "host: a", "transfer-encoding: gzip, chunked", body=b"0\r\n\r\n"),
        400,
        ("chunked",),
        closes=True,
    ),
    Bad("chunks over HTTP/1.0", raw(_POST[:-1] + "0", _CHUNKED, body=b"0\r\n\r\n"), 400, ("HTTP/1.0",), closes=True),
    Bad("a path of 9 kB", request_bytes("GET", f"/v2?{'x' * 9_000}"), 414, ("max_url_bytes",)),
    Bad("gzip as transfer coding", raw(_POST, "host: a", "transfer-encoding: gzip", body=b"abc"), 400, (), closes=True),
    Bad(
        "a host that is none",
        raw("GET /v2 HTTP/1.1", "host: a b"),
        400,
        ("Host", "'a b'"),
        closes=True,
    ),
    Bad("CONNECT", raw("CONNECT example.com:443 HTTP/1.1", "host: example.com"), 405, ("CONNECT",), closes=True),
    Bad(
        "a folded header", raw(_POST, "host: a", "x: 1", " 2", _LENGTH, body=GOOD_BODY), 400, ("not HTTP",), closes=True
    ),
    Bad("a body of 9 MB", posted(DOUBLER, b" " * (9 << 20)), 413, ("8 MB", "max_json_mb")),
    Bad("announces 1 TB", raw(_POST, "host: a", f"content-length: {1 << 40}"), 413, ("8 MB",), closes=True),
    Bad("9 MB in chunks", raw(_POST, "host: a", _CHUNKED, body=9 * _CHUNK + b"0\r\n\r\n"), 413, ("8 MB",)),
)


HEADS = (*PATHS, *HEADERS, *FRAMING)
