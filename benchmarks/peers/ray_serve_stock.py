"""Ray Serve as its documentation begins: a FastAPI ingress, a handle, a model deployment, every setting its default."""

# ruff: noqa: ANN401 -- a handle and a JSON answer can be anything

# No postponed annotations: the class is pickled without the names that only its annotations mention, and FastAPI would
# then take `request` for a query parameter.
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from ray import serve

from benchmarks.peers import options, ray_cluster

api = FastAPI()


@serve.deployment
class Model:
    """Runs one row."""

    def __init__(self, path: str) -> None:
        from benchmarks.peers.onnx_model import OnnxModel

        self._model = OnnxModel(Path(path))

    async def infer(self, values: list[float]) -> dict[str, Any]:
        """The answer of one row."""
        return self._model.answers([values])[0]


@serve.deployment
@serve.ingress(api)
class Ingress:
    """Takes HTTP and calls the model's handle."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @api.post("/v2/models/mlp/infer")
    async def infer(self, request: Request) -> Any:
        """The answer of one request."""
        body = await request.json()
        return await self._model.infer.remote(body["inputs"][0]["data"])


if __name__ == "__main__":
    given = options.read()
    model = Model.bind(  # type: ignore[attr-defined]  # Serve types the decorated class as itself
        str(given.models / "mlp" / "1" / "model.onnx")
    )
    app = Ingress.bind(model)  # type: ignore[attr-defined]
    ray_cluster.run(app, given.port, given.scratch)
