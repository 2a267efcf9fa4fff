"""Requests as bytes, and answers out of them."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from benchmarks.encodings import BinaryTensors
from benchmarks.open_loop.questions import Answer, first_answer, questions
from benchmarks.workload import Workload

ROWS = np.array([[1, 2], [3, 4]], dtype=np.float32)
WORKLOAD = Workload("w", "m", 1, "x", ROWS, (ROWS * 2,), ("y",), BinaryTensors())
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
    with pytest.raises(ValueError, match="not found"):
        first_answer(HEAD + b"\r\n")


def test_a_request_is_one_row_with_its_length() -> None:
    request = questions(WORKLOAD)[1].request
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/models/m/infer HTTP/1.1\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert body.endswith(ROWS[1].tobytes())


def test_only_the_row_s_own_answer_is_right_and_each_body_is_judged_once() -> None:
    first, second = questions(WORKLOAD)
    output = {"name": "y", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    json = orjson.dumps({"outputs": [output]})
    head = f"HTTP/1.1 200 OK\r\ninference-header-content-length: {len(json)}".encode()
    body = json + (ROWS[0] * 2).tobytes()
    assert first.is_answered_by(head, body)
    assert not second.is_answered_by(head, body)
    assert (first.known, second.known) == ({body: True}, {body: False})
