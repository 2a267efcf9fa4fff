"""Requests as gRPC messages, and whether their answers are right."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.payload.entry import Entry
from loadtests.payload.grpc_asks import GrpcAsk, message_of
from serving.errors import ConfigInvalid
from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse

BODY = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}


def answer(version: str, *values: float) -> bytes:
    response = ModelInferResponse(model_name="m", model_version=version)
    response.outputs.add(name="y", datatype="FP32", shape=[1, len(values)])
    response.raw_output_contents.append(np.array(values, np.float32).tobytes())
    return response.SerializeToString()


def test_a_message_has_the_model_of_the_path_and_raw_tensors() -> None:
    message = ModelInferRequest.FromString(message_of(Entry("", BODY), "/v2/models/m/versions/3/infer")[5:])
    assert (message.model_name, message.model_version) == ("m", "3")
    assert message.raw_input_contents[0] == np.array([1, 2], np.float32).tobytes()


def test_an_answer_is_held_against_that_of_the_version_it_names() -> None:
    ask = GrpcAsk(b"", {"1": {"outputs": [{"name": "y", "data": [0.5, 1.0]}]}})
    assert ask.is_answered_by(b"", answer("1", 0.5, 1.0))
    assert not ask.is_answered_by(b"", answer("1", 0.5, 0.9))
    assert ask.is_answered_by(b"", answer("2", 7.0))
    assert ask.known == {answer("1", 0.5, 1.0): True, answer("1", 0.5, 0.9): False, answer("2", 7.0): True}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (BODY, "/v1/models/m:predict"),
        ({"instances": [1]}, "/v2/models/m/infer"),
        ({"inputs": [{}]}, "/v2/models/m/infer"),
    ],
)
def test_what_is_no_message_is_told_so(body: object, path: str) -> None:
    with pytest.raises(ConfigInvalid, match="protocol grpc needs"):
        message_of(Entry("", body), path)


def test_a_message_that_is_too_large_is_told_so() -> None:
    large = {"inputs": [{"name": "x", "shape": [1, 20_000], "datatype": "FP32", "data": [0.0] * 20_000}]}
    with pytest.raises(ConfigInvalid, match="has room for 60,000"):
        message_of(Entry("", large), "/v2/models/m/infer")
