"""KServe's Python server with custom models: HTTP-PORT."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput
from kserve.utils.utils import generate_uuid

from tests.e2e.peers.served import arithmetic
from tests.e2e.peers.served.arithmetic import MODELS, Arithmetic


class Served(Model):  # type: ignore[misc]
    """One of the models."""

    def __init__(self, name: str, model: Arithmetic) -> None:
        super().__init__(name)
        self._model = model
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        """What metadata says of inputs."""
        return [spec.told() for spec in self._model.inputs] if self._model.told else []

    def get_output_types(self) -> list[dict[str, Any]]:
        """What metadata says of outputs."""
        return [spec.told() for spec in self._model.outputs] if self._model.told else []

    def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferResponse:
        """Compute it; names that there are not are the caller's mistake."""
        try:
            computed = arithmetic.computed(self._model, {one.name: _array(one) for one in payload.inputs})
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        outputs = []
        for spec, array in zip(self._model.outputs, computed.values(), strict=True):
            output = InferOutput(name=spec.name, shape=list(array.shape), datatype=spec.datatype)
            output.set_data_from_numpy(array, binary_data=False)
            outputs.append(output)
        return InferResponse(response_id=payload.id or generate_uuid(), model_name=self.name, infer_outputs=outputs)


def _array(given: InferInput) -> Any:
    array = given.as_numpy()
    if array.dtype != object:
        return array
    return np.array([one.decode() if isinstance(one, bytes) else one for one in array.ravel()], dtype=object)


if __name__ == "__main__":
    server = ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, enable_docs_url=False)
    server.start([Served(name, model) for name, model in MODELS.items()])
