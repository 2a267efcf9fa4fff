"""Rows as requests of every kind, and answers of every kind as values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from benchmarks.check import difference_from
from benchmarks.encodings import HEADER_LENGTH, BinaryTensors, GrpcMessages, Reply
from benchmarks.workload import Workload, text
from serving.edge.http import codec
from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse

ROWS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=np.float32)
EXPECTED = np.array([[0.5, -1.25], [2.0, 3.0]], dtype=np.float32)
WORKLOAD = Workload("w", "m", 1, "x", ROWS, (EXPECTED,), ("p",))
BINARY = replace(WORKLOAD, encoding=BinaryTensors())
GRPC = replace(WORKLOAD, encoding=GrpcMessages())


def binary(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Reply:
    data = values.tobytes()
    head = orjson.dumps({"outputs": [{"name": "p", "parameters": {"binary_data_size": len(data)}}]})
    return Reply(200, {HEADER_LENGTH: str(len(head))}, head + data)


def message(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Reply:
    response = ModelInferResponse()
    response.raw_output_contents.append(values.tobytes())
    return Reply(200, {}, response.SerializeToString())


def test_json_is_what_the_protocol_asks() -> None:
    (tensor,) = codec.decode(WORKLOAD.body(1)).inputs
    assert (tensor.name, tensor.shape, tensor.data) == ("x", (1, 3), ROWS[1].tobytes())


def test_a_binary_body_is_a_head_of_the_told_length_and_the_rows_bytes() -> None:
    body = BINARY.body(1)
    head = int(BINARY.encoding.headers(BINARY)[HEADER_LENGTH])
    (tensor,) = orjson.loads(body[:head])["inputs"]
    assert (tensor["shape"], tensor["datatype"], tensor["parameters"]) == ([1, 3], "FP32", {"binary_data_size": 12})
    assert body[head:] == ROWS[1].tobytes()


def test_a_message_holds_the_rows_bytes() -> None:
    request = ModelInferRequest.FromString(GRPC.body(1))
    assert request.model_name == "m"
    assert list(request.inputs[0].shape) == [1, 3]
    assert request.raw_input_contents[0] == ROWS[1].tobytes()


@pytest.mark.parametrize(("workload", "reply"), [(BINARY, binary), (GRPC, message)])
def test_the_rows_own_values_are_right_and_anothers_are_wrong(workload: Workload, reply: object) -> None:
    assert callable(reply)
    assert difference_from(workload, 1, reply(EXPECTED[1])) == 0
    assert difference_from(workload, 1, reply(EXPECTED[0])) > 1


def test_another_form_is_wrong() -> None:
    for body in (b"", b"\0", EXPECTED[1].tobytes()[:-1], EXPECTED.tobytes()):
        assert difference_from(BINARY, 1, Reply(200, {}, body)) == float("inf")
    for body in (b"", b"\xff"):
        assert difference_from(GRPC, 1, Reply(200, {}, body)) == float("inf")


def test_texts_are_compared_byte_by_byte(tmp_path: Path) -> None:
    workload = text(tmp_path)
    right = workload.data(3)
    assert len(right) == 64_000
    assert difference_from(workload, 3, Reply(200, {}, right)) == 0
    assert difference_from(workload, 3, Reply(200, {}, right[:-1] + b"!")) > 1
