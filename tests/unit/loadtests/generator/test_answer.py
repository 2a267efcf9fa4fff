"""Answers out of bytes."""

from __future__ import annotations

import pytest

from loadtests.generator.answer import Answer, first_answer, header

HEAD = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 7\r\n"


def test_an_answer_is_whole_with_its_last_byte_and_what_follows_is_left() -> None:
    data = HEAD + b"content-length: 4\r\n\r\nbody"
    for size in range(len(data)):
        assert first_answer(data[:size]) is None
    assert first_answer(data + b"HTTP/1.1 503") == Answer(200, HEAD + b"content-length: 4", b"body", len(data))


def test_the_length_is_found_in_any_case_and_not_in_a_header_that_ends_alike() -> None:
    # The binary extension's own header comes first and holds another number.
    assert first_answer(HEAD.lower() + b"content-length: 1\r\n\r\nb") is not None
    assert first_answer(HEAD + b"Content-Length: 1\r\nx: y\r\n\r\nb") is not None
    assert first_answer(HEAD + b"Content-Length:1\r\n\r\nb") is not None
    with pytest.raises(ValueError, match="not found"):
        first_answer(HEAD + b"\r\n")


def test_a_header_is_found_in_any_case_at_the_end_too_and_not_by_a_part_of_its_name() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Version-Of: 1\r\nX-Version:2 \r\nlast: 3"
    assert header(head, b"x-version") == b"2"
    assert header(head, b"last") == b"3"
    assert header(head, b"version") is None
