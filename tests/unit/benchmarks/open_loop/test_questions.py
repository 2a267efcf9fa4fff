"""Requests as bytes, and answers out of them."""

from __future__ import annotations

import numpy as np
import orjson

from benchmarks.encodings import BinaryTensors
from benchmarks.open_loop.questions import questions
from benchmarks.workload import Workload

ROWS = np.array([[1, 2], [3, 4]], dtype=np.float32)
WORKLOAD = Workload("w", "m", 1, "x", ROWS, (ROWS * 2,), ("y",), BinaryTensors())


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
