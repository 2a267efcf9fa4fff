"""Bodies that only HTTP has, through onnxruntime and back: some tensors in JSON and some binary, or no JSON at all."""

from __future__ import annotations

import struct
from pathlib import Path

import onnx
import pytest

from serving.edge.http.limits import HttpLimits
from serving.errors import ServingError
from serving.inference import Answer, Request, VersionKey
from serving.request_path.intake import Intake
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.source import ModelSource
from serving.testing.models import echo, save, scalar, several
from serving.testing.predictions import FakePredictions, answer_of
from tests.unit.edge.http.binary import body_of, outputs_of, request, tensor
from tests.unit.edge.http.wire import Wire


def served(folder: Path, proto: onnx.ModelProto) -> Wire:
    """A connection to a model that runs at once."""
    path = save(folder, "mlp", 3, proto)
    model = LoadedModel.open(ModelSource(VersionKey("mlp", 3), path))
    intake = Intake(model.hosted)

    def run(asked: Request) -> Answer | ServingError:
        try:
            intake.check(asked)
            batchable = model.hosted.batchable
            return answer_of(asked, model.run(asked.inputs, asked.rows if batchable else 0), whole=not batchable)
        except ServingError as error:
            return error

    return Wire(limits=HttpLimits(), predictions=FakePredictions(model.hosted.signature, reply=run))


def test_a_body_without_json_is_the_only_input(tmp_path: Path) -> None:
    wire = served(tmp_path, scalar())
    assert outputs_of(wire.ask(request(struct.pack("<f", 1), 0))) == {"y": struct.pack("<f", 2)}


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_what_json_cannot_express_is_refused_with_what_to_ask_for(tmp_path: Path, value: float) -> None:
    wire = served(tmp_path, echo(onnx.TensorProto.FLOAT))
    answer = wire.ask(request(*body_of([tensor("x", "FP32", [1, 2], 8)], struct.pack("<2f", 1, value))))
    assert (answer.status, "binary_data_output" in answer.error) == (400, True)


def test_several_inputs_and_outputs_some_in_json(tmp_path: Path) -> None:
    wire = served(tmp_path, several())
    inputs = [
        tensor("i", "INT32", [1], 4),
        {"name": "b", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]},
        tensor("keep", "BOOL", [1], 1),
        tensor("a", "FP32", [1, 2], 8),
    ]
    outputs = [{"name": "next"}, {"name": "kept", "parameters": {"binary_data": True}}]
    elements = (struct.pack("<i", 6), b"\1", struct.pack("<2f", 4, 5))
    assert outputs_of(wire.ask(request(*body_of(inputs, *elements, outputs=outputs)))) == {"next": [7], "kept": b"\0"}
