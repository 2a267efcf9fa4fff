"""Responses as bytes."""

from __future__ import annotations

import pytest

from serving.edge.http.answers import Refusal, framed, json_answer, refusal_of, refused
from serving.errors import Overloaded, TooLarge


def test_a_response_has_its_length_and_the_exact_content_type() -> None:
    assert json_answer(200, b"{}") == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_an_error_says_what_to_change() -> None:
    assert refused(Refusal(404, 'no "x"')).endswith(b'\r\n\r\n{"error":"no \\"x\\""}')


@pytest.mark.parametrize(("seconds", "header"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.5, b"2"), (30.0, b"30")])
def test_retry_after_is_in_whole_seconds(seconds: float, header: bytes) -> None:
    assert refusal_of(Overloaded("full", retry_after_s=seconds)).headers == b"retry-after: " + header + b"\r\n"


def test_what_cannot_succeed_later_has_no_retry_after() -> None:
    assert refusal_of(TooLarge("big")) == Refusal(413, "big", "too_large")


def test_framing_adds_headers_and_may_drop_the_body() -> None:
    answer = json_answer(200, b"{}")
    full = framed(answer, headers=b"connection: close\r\n", bodiless=False)
    assert full.startswith(b"HTTP/1.1 200 OK\r\nconnection: close\r\n")
    assert full.endswith(b"\r\n\r\n{}")
    assert framed(answer, headers=b"", bodiless=True) == answer[:-2]
