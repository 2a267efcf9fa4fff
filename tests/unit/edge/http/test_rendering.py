"""Answers as bodies: each caller gets its own rows, rendered once for the batch."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest

from serving.edge.http.rendering import infer_response, predict_response
from serving.edge.http.request_options import Options
from serving.errors import BadRequest, ModelFailed
from serving.inference import Answer, Outputs, Tensor, VersionKey

NAN = float("nan")


def floats(name: str, shape: tuple[int, ...], *values: float) -> Tensor:
    return Tensor(name, "FP32", shape, struct.pack(f"<{len(values)}f", *values))


def answer(outputs: Outputs, start: int = 0, stop: int = 1, *, whole: bool = False) -> Answer:
    return Answer(outputs, start, stop, whole, VersionKey("m", 2), "stable", 0.0, 0.0)


def body_of(response: object) -> Any:
    assert isinstance(response, bytes)
    head, body = response.split(b"\r\n\r\n", 1)
    assert f"content-length: {len(body)}\r\n".encode() in head + b"\r\n"
    return orjson.loads(body)


def infer(answered: Answer, identity: bytes = b'""', wanted: tuple[str, ...] | None = None) -> Any:
    return body_of(infer_response(answered, Options(identity, wanted)))


def test_one_prediction_is_the_same_response_as_the_general_way() -> None:
    key = VersionKey("m", 2)
    lines = b"server-timing: features;dur=0.250\r\nx-sluice-degraded: plane=not_found\r\n"
    clean = Outputs((floats("p", (3, 2), 1, 2, 3, 4, 5, 6),))
    # A value that JSON lacks has the whole batch rendered the general way.
    odd = Outputs((floats("p", (3, 2), 1, 2, 3, 4, NAN, 6),))
    for outputs in (clean, odd):
        response = predict_response(Answer(outputs, 1, 2, False, key, "50%", 0.001, 0.0025), 1, lines)
        assert response == (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-sluice-variant: 50%\r\nx-sluice-version: 2\r\n"
            b"server-timing: queue;dur=1.000, run;dur=2.500\r\n" + lines + b"content-length: 27\r\n\r\n"
            b'{"predictions":[[3.0,4.0]]}'
        )


def predict(answered: Answer, instances: int) -> Any:
    return body_of(predict_response(answered, instances))["predictions"]


BATCH = Outputs((floats("p", (3, 2), 1, 2, 3, 4, 5, 6), Tensor("label", "INT64", (3,), struct.pack("<3q", 7, 8, 9))))


def test_each_caller_gets_its_own_rows() -> None:
    assert infer(answer(BATCH, 1, 3), b'"x"') == {
        "model_name": "m",
        "model_version": "2",
        "id": "x",
        "outputs": [
            {"name": "p", "shape": [2, 2], "datatype": "FP32", "data": [3, 4, 5, 6]},
            {"name": "label", "shape": [2], "datatype": "INT64", "data": [8, 9]},
        ],
    }


def test_one_row_of_one_output_is_the_same_as_the_general_way() -> None:
    outputs = Outputs((floats("p", (2, 2), 1, 2, 3, 4),))
    assert infer(answer(outputs, 1, 2)) == infer(answer(outputs, 1, 2), wanted=("p",))
    assert infer(answer(outputs, 1, 2))["outputs"] == [
        {"name": "p", "shape": [1, 2], "datatype": "FP32", "data": [3, 4]}
    ]


def test_wanted_outputs_filter_and_order() -> None:
    assert [output["name"] for output in infer(answer(BATCH), wanted=("label", "p"))["outputs"]] == ["label", "p"]
    assert [output["name"] for output in infer(answer(BATCH), wanted=("label",))["outputs"]] == ["label"]
    with pytest.raises(BadRequest, match="unknown output 'q'; the model has p, label"):
        infer(answer(BATCH), wanted=("q",))


def test_a_whole_answer_keeps_its_shapes() -> None:
    outputs = Outputs((floats("s", (), 3), floats("m", (1, 3), 1, 2, 3)))
    assert infer(answer(outputs, whole=True))["outputs"] == [
        {"name": "s", "shape": [], "datatype": "FP32", "data": [3]},
        {"name": "m", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]},
    ]


def test_a_row_that_json_cannot_express_fails_its_caller_alone() -> None:
    outputs = Outputs((floats("p", (2, 1), 1, NAN),))
    assert infer(answer(outputs, 0, 1))["outputs"][0]["data"] == [1]
    with pytest.raises(BadRequest, match="output 'p' holds NaN or infinity"):
        infer(answer(outputs, 1, 2))
    assert predict(answer(outputs, 0, 1), 1) == [[1]]
    with pytest.raises(BadRequest, match="output 'p' holds NaN"):
        predict(answer(outputs, 1, 2), 1)


def test_an_output_that_is_not_wanted_may_hold_anything() -> None:
    outputs = Outputs((floats("p", (1, 1), NAN), floats("q", (1, 1), 2)))
    assert infer(answer(outputs), wanted=("q",))["outputs"][0]["data"] == [2]


def test_predictions_of_one_output_are_bare() -> None:
    assert predict(answer(Outputs((floats("p", (3,), 1, 2, 3),)), 1, 3), 2) == [2, 3]
    assert predict(answer(Outputs((floats("p", (2, 2), 1, 2, 3, 4),)), 0, 2), 2) == [[1, 2], [3, 4]]


def test_predictions_of_several_outputs_are_objects() -> None:
    assert predict(answer(BATCH, 1, 2), 1) == [{"p": [3, 4], "label": 8}]


def test_whole_predictions_need_a_row_for_each_instance() -> None:
    outputs = Outputs((floats("p", (2, 1), 1, 2),))
    assert predict(answer(outputs, whole=True), 2) == [[1], [2]]
    with pytest.raises(ModelFailed, match="output 'p' has 2 rows for 3 instances"):
        predict(answer(outputs, whole=True), 3)


def test_a_model_without_rows_predicts_one_instance() -> None:
    outputs = Outputs((floats("s", (), 3), floats("v", (2,), 1, 2)))
    assert predict(answer(outputs, whole=True), 1) == [{"s": 3, "v": [1, 2]}]
    with pytest.raises(ModelFailed, match="one instance at a time"):
        predict(answer(outputs, whole=True), 2)


def test_names_with_percent_signs_and_quotes_survive() -> None:
    tensor = floats('100%b "p"', (1, 1), 1)
    whole = Answer(Outputs((tensor,)), 0, 1, whole=False, key=VersionKey("%d", 2), variant="s", queue_s=0.0, run_s=0.0)
    assert infer(whole)["model_name"] == "%d"
    assert infer(whole)["outputs"][0]["name"] == '100%b "p"'


def test_rows_without_values_are_an_empty_array() -> None:
    outputs = Outputs((Tensor("p", "FP32", (3, 0), b""),))
    assert infer(answer(outputs, 0, 3))["outputs"] == [{"name": "p", "shape": [3, 0], "datatype": "FP32", "data": []}]
    assert infer(answer(outputs, 0, 1))["outputs"] == [{"name": "p", "shape": [1, 0], "datatype": "FP32", "data": []}]
