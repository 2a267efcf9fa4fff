"""Codings: what a client accepts is understood as RFC 9110 has it, and bodies are inflated in bounded steps."""

from __future__ import annotations

import contextlib
import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.http.content_coding import STEP, Accepted, Inflation, accepted, coding_of, deflated
from serving.errors import BadRequest

NONE, GZIP, DEFLATE = Accepted(), Accepted(b"gzip"), Accepted(b"deflate")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"", NONE),
        (b"gzip", GZIP),
        (b"GZip;Q=0.5", GZIP),
        (b"x-gzip", GZIP),
        (b"deflate", DEFLATE),
        (b"gzip, deflate, br", GZIP),
        (b"gzip;q=0.5, deflate;q=0.8", DEFLATE),
        (b"gzip;q=0", NONE),
        (b"gzip;q=0, deflate", DEFLATE),
        (b"br", NONE),
        (b"*", GZIP),
        (b"*;q=0", Accepted(b"", plain=False)),
        (b"*;q=0, deflate", Accepted(b"deflate", plain=False)),
        (b"gzip;q=0, *", DEFLATE),
        (b"identity", NONE),
        (b"identity;q=0.5, gzip", GZIP),
        (b"identity, gzip;q=0.5", NONE),
        (b"identity;q=0, gzip;q=0.1", Accepted(b"gzip", plain=False)),
        (b"identity;q=0", Accepted(b"", plain=False)),
        (b"gzip;q=2", NONE),
        (b"gzip;q=nan", NONE),
        (b"gzip;level=1", NONE),
        (b",,;;", NONE),
    ],
)
def test_the_coding_that_a_client_likes_best(value: bytes, wanted: Accepted) -> None:
    assert accepted(value) == wanted


@given(st.binary(max_size=60))
def test_any_header_is_understood_somehow(value: bytes) -> None:
    assert accepted(value).coding in (b"", b"gzip", b"deflate")


def test_a_coding_goes_by_its_names() -> None:
    assert [coding_of(name) for name in (b"", b"identity", b" Gzip ", b"x-gzip", b"deflate")] == [
        b"",
        b"",
        b"gzip",
        b"gzip",
        b"deflate",
    ]
    assert coding_of(b"br") is None


def inflated(coding: bytes, body: bytes) -> bytes:
    inflation, pieces = Inflation(coding, body), []
    while not inflation.done:
        pieces.append(inflation.step())
        assert len(pieces[-1]) <= STEP
    return b"".join(pieces)


def whole(coding: bytes, body: bytes) -> bytes:
    return gzip.compress(body) if coding == b"gzip" else zlib.compress(body)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
@pytest.mark.parametrize("size", [0, 1, 1000, STEP - 1, STEP, STEP + 1, 5 * STEP + 7])
def test_a_body_comes_back_whole_in_bounded_steps(coding: bytes, size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert inflated(coding, whole(coding, body)) == body
    made = deflated(coding, [body[: size // 2], memoryview(body)[size // 2 :]], always=True)
    assert made is not None
    assert inflated(coding, b"".join(made)) == body


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_a_body_that_ends_early_goes_on_or_is_something_else_is_refused(coding: bytes) -> None:
    good = whole(coding, b"abc" * 100)
    with pytest.raises(BadRequest, match="ends too early"):
        inflated(coding, good[:-1])
    with pytest.raises(BadRequest, match="1 bytes follow the end"):
        inflated(coding, good + b"\0")
    with pytest.raises(BadRequest, match="follow the end"):
        inflated(coding, good + good)
    with pytest.raises(BadRequest, match=f"is not {coding.decode()}"):
        inflated(coding, b"{}" * 100)
    with pytest.raises(BadRequest, match="ends too early"):
        inflated(coding, b"")


@given(st.sampled_from([b"gzip", b"deflate"]), st.binary(max_size=100), st.integers(0, 200), st.binary(max_size=3))
def test_any_bytes_are_inflated_or_refused(coding: bytes, body: bytes, at: int, other: bytes) -> None:
    sent = whole(coding, body)
    with contextlib.suppress(BadRequest):
        assert inflated(coding, sent[:at] + other + sent[at + len(other) :]) is not None
    with contextlib.suppress(BadRequest):
        inflated(coding, body)


def test_what_hardly_shrinks_is_left_as_it_is_unless_nothing_else_is_taken() -> None:
    noise = random.Random(7).randbytes(200_000)
    assert deflated(b"gzip", [noise], always=False) is None
    made = deflated(b"gzip", [noise], always=True)
    assert made is not None
    assert gzip.decompress(b"".join(made)) == noise
