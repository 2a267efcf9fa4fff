"""KServe's Python server with models that run ONNX files, as KServe's documentation has custom models made."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput
from kserve.utils.utils import generate_uuid

# A model as metadata, instances and predictions speak of it.
Json = dict[str, Any]
Array = npt.NDArray[Any]


class OnnxModel(Model):  # type: ignore[misc,unused-ignore]
    """One session of onnxruntime; V1 instances are rows of the only input."""

    def __init__(self, name: str, facts: Json) -> None:
        super().__init__(name)
        self._facts = facts
        self.load()

    def load(self) -> bool:
        """Load the file."""
        self._session = onnxruntime.InferenceSession(self._facts["path"])
        self.ready = True
        return True

    def get_input_types(self) -> list[Json]:
        """What metadata says of inputs."""
        return list(self._facts["inputs"])

    def get_output_types(self) -> list[Json]:
        """What metadata says of outputs."""
        return list(self._facts["outputs"])

    def predict(self, payload: InferRequest | Json, headers: dict[str, str] | None = None) -> InferResponse | Json:  # noqa: ARG002
        """Run it; what onnxruntime refuses is the caller's mistake."""
        if isinstance(payload, dict):
            return {"predictions": self._rows(payload["instances"])}
        feeds = {one.name: _array(one) for one in payload.inputs}
        names = [one.name for one in self._session.get_outputs()]
        values = self._run(names, feeds)
        outputs = []
        for spec, name, array in zip(self._facts["outputs"], names, values, strict=True):
            output = InferOutput(name=name, shape=list(array.shape), datatype=spec["datatype"])
            output.set_data_from_numpy(array, binary_data=payload.use_binary_outputs)
            outputs.append(output)
        return InferResponse(
            response_id=payload.id or generate_uuid(),
            model_name=self.name,
            infer_outputs=outputs,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )

    def _rows(self, instances: list[Any]) -> list[Any]:
        first = self._session.get_inputs()[0]
        feeds = {first.name: np.array(instances, dtype=np.float32)}
        return list(self._run(None, feeds)[0].tolist())

    def _run(self, names: list[str] | None, feeds: dict[str, Array]) -> list[Array]:
        try:
            return list(self._session.run(names, feeds))
        except Exception as error:
            raise InvalidInput(str(error)) from error


def _array(given: InferInput) -> Array:
    array: Array = given.as_numpy()
    if array.dtype == object:
        # onnxruntime takes text; bytes that are none go through as they are.
        flat = [one.decode("utf-8", "surrogateescape") if isinstance(one, bytes) else one for one in array.ravel()]
        return np.array(flat, dtype=object).reshape(array.shape)
    return array


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("facts", type=Path)
    parser.add_argument("--http-port", type=int)
    parser.add_argument("--grpc-port", type=int)
    given = parser.parse_args()
    served = [OnnxModel(name, facts) for name, facts in json.loads(given.facts.read_text()).items()]
    ModelServer(http_port=given.http_port, grpc_port=given.grpc_port, enable_docs_url=False).start(served)
