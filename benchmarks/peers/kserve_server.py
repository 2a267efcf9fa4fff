"""KServe's Python server, the model in its process: raw contents both ways over gRPC, JSON both ways over HTTP."""

# ruff: noqa: ANN401 -- KServe has no types here

from __future__ import annotations

from typing import Any

import numpy as np
from kserve import InferOutput, InferResponse, Model, ModelServer

from benchmarks.peers import options
from benchmarks.peers.onnx_model import newest, session


class Mlp(Model):  # type: ignore[misc,unused-ignore]
    """One session of onnxruntime."""

    def __init__(self, path: Any) -> None:
        super().__init__("mlp")
        self._session = session(path)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Run it on one request."""
        del headers, response_headers
        values = self._session.run(None, {self._input: payload.inputs[0].as_numpy()})[0]
        output = InferOutput(name=self._output, shape=list(values.shape), datatype="FP32")
        binary = payload.from_grpc
        output.set_data_from_numpy(np.ascontiguousarray(values), binary_data=binary)
        return InferResponse(
            response_id=payload.id or "1", model_name=self.name, infer_outputs=[output], use_binary_outputs=binary
        )


if __name__ == "__main__":
    given = options.read()
    server = ModelServer(http_port=given.port, grpc_port=given.grpc_port, enable_docs_url=False)
    server.start([Mlp(newest(given.models)["mlp"])])
