"""KServe with a transformer that asks Feast's server, as KServe's guide for Feast has it: three servers in a row.

The transformer is this process; the predictor and Feast's server are its children, and end with it.
"""

# ruff: noqa: ANN401 -- KServe has no types here

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from kserve import Model, ModelServer, PredictorConfig
from kserve.context import set_predictor_config

from benchmarks.features import shape as shapes
from benchmarks.features.shape import Shape
from benchmarks.peers import options
from benchmarks.peers.onnx_model import session
from benchmarks.peers.ray_cluster import free_port


class Predictor(Model):  # type: ignore[misc,unused-ignore]
    """One session of onnxruntime; rows come finished."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self._session = session(path)
        self._input = self._session.get_inputs()[0].name
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Run it on the rows of one request."""
        del headers, response_headers
        rows = np.array(payload["instances"], dtype=np.float32)
        return {"predictions": self._session.run(None, {self._input: rows})[0].tolist()}


class Transformer(Model):  # type: ignore[misc,unused-ignore]
    """Ids become rows, by one request to Feast's server."""

    def __init__(self, shape: Shape, feast_port: int) -> None:
        super().__init__(shape.model)
        self._names = shape.names
        self._columns = [column for view in shape.names for column in shape.columns(view)]
        self._features = [f"{view}:{column}" for view in shape.names for column in shape.columns(view)]
        self._url = f"http://{options.ADDRESS}:{feast_port}/get-online-features"
        self._client = httpx.AsyncClient()
        self.ready = True

    async def preprocess(self, payload: Any, headers: Any = None) -> Any:
        """The rows, in the model's order."""
        del headers
        ids = {view: [instance[view] for instance in payload["instances"]] for view in self._names}
        told = await self._client.post(self._url, json={"features": self._features, "entities": ids})
        told.raise_for_status()
        answer = told.json()
        found = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
        columns = [found[name]["values"] for name in self._columns]
        return {"instances": [list(row) for row in zip(*columns, strict=True)]}


def _child(python: str, program: str, given: Any, port: int, extra: Sequence[str] = ()) -> None:
    # As all contenders are told. They are of this session, and end with it.
    flags = {"--port": port, "--grpc-port": free_port(), "--metrics-port": free_port(), "--models": given.models}
    told = [text for name, value in {**flags, "--scratch": given.scratch}.items() for text in (name, str(value))]
    subprocess.Popen([python, "-m", f"benchmarks.peers.{program}", *told, *extra])


if __name__ == "__main__":
    given = options.read("feast-python", "part")
    shape = shapes.read(given.models)
    server = ModelServer(
        http_port=given.port,
        grpc_port=given.grpc_port,
        enable_grpc=False,
        enable_docs_url=False,
        access_log_format=None,
    )
    if given.part == "predictor":
        server.start([Predictor(shape.model, given.models / shape.model / "1" / "model.onnx")])
    else:
        predictor_port, feast_port = free_port(), free_port()
        same = ("--feast-python", given.feast_python, "--part", "predictor")
        _child(sys.executable, "kserve_feast", given, predictor_port, same)
        _child(given.feast_python, "feast_server", given, feast_port)
        set_predictor_config(PredictorConfig(f"{options.ADDRESS}:{predictor_port}", "v1"))
        server.start([Transformer(shape, feast_port)])
