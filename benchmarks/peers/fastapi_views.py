"""What most teams write: FastAPI, redis-py's asyncio client with hiredis, one pipeline of HMGETs, the model inline."""

from __future__ import annotations

from collections.abc import Sequence

import redis.asyncio
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.features import shape as shapes
from benchmarks.features.shape import Shape
from benchmarks.peers import options
from benchmarks.peers.onnx_model import OnnxModel


class PredictRequest(BaseModel):
    """The body: instances with an id for each view."""

    instances: list[dict[str, str]]


class PredictResponse(BaseModel):
    """The answer."""

    predictions: list[list[float]]


def application(model: OnnxModel, shape: Shape, url: str) -> FastAPI:
    """One route: every entity of the request in one pipeline, then one run of all rows."""
    app = FastAPI()
    client = redis.asyncio.Redis.from_url(url, protocol=2)
    views: Sequence[tuple[str, list[str]]] = [(view, shape.columns(view)) for view in shape.names]

    @app.post(f"/v1/models/{shape.model}:predict")
    async def predict(request: PredictRequest) -> PredictResponse:
        pipeline = client.pipeline(transaction=False)
        for instance in request.instances:
            for view, columns in views:
                pipeline.hmget(f"{view}:{instance[view]}", columns)
        found = await pipeline.execute()
        rows = [
            [float(value) for hashed in found[start : start + len(views)] for value in hashed]
            for start in range(0, len(found), len(views))
        ]
        return PredictResponse(predictions=[answer["outputs"][0]["data"] for answer in model.answers(rows)])

    return app


if __name__ == "__main__":
    given = options.read()
    shape = shapes.read(given.models)
    model = OnnxModel(given.models / shape.model / "1" / "model.onnx")
    app = application(model, shape, (given.models / shapes.STORE).read_text())
    uvicorn.run(app, host=options.ADDRESS, port=given.port, loop="uvloop", http="httptools", access_log=False)
