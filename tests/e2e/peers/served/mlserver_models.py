"""A custom runtime of MLServer, and the settings by which it finds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import Datatype, InferenceRequest, InferenceResponse, RequestInput, ResponseOutput

from tests.e2e.peers.served import arithmetic
from tests.e2e.peers.served.arithmetic import MODELS


class Served(MLModel):  # type: ignore[misc]
    """One of the models, by its name."""

    async def load(self) -> bool:
        """There is nothing to load."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Compute it; names that there are not are the caller's mistake."""
        try:
            computed = arithmetic.computed(MODELS[self.name], {one.name: _array(one) for one in payload.inputs})
        except ValueError as error:
            raise InferenceError(str(error)) from error
        outputs = [_output(name, array) for name, array in computed.items()]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def write(folder: Path, http_port: int) -> None:
    """The settings of the server and of each model."""
    ports = {"http_port": http_port, "grpc_port": 0, "metrics_port": 0, "metrics_endpoint": None}
    (folder / "settings.json").write_text(json.dumps({**ports, "parallel_workers": 0}))
    for name, model in MODELS.items():
        (folder / name).mkdir()
        told: dict[str, Any] = {"name": name, "implementation": f"{__name__}.{Served.__name__}", "versions": ["7"]}
        told["parameters"] = {"version": "7"}
        if model.told:
            told["inputs"] = [spec.told() for spec in model.inputs]
            told["outputs"] = [spec.told() for spec in model.outputs]
        (folder / name / "model-settings.json").write_text(json.dumps(told))


def _array(given: RequestInput) -> Any:
    # The codec for arrays cuts text at its first NUL.
    if Datatype(given.datatype) is Datatype.BYTES:
        return np.array(StringCodec.decode_input(given), dtype=object)
    return NumpyCodec.decode_input(given)


def _output(name: str, array: Any) -> ResponseOutput:
    codec, values = (StringCodec, array.tolist()) if array.dtype == object else (NumpyCodec, array)
    coded = codec.encode_output(name, values)
    # The codecs write shapes of their own, [n, 1] for n values.
    coded.shape = list(array.shape)
    return coded
