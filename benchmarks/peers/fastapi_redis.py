"""What most teams write: FastAPI, redis-py's asyncio client with hiredis, a hash for each entity, the model inline."""

from __future__ import annotations

import redis.asyncio
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers import options
from benchmarks.peers.onnx_model import OnnxModel

COLUMNS = [f"f{position}" for position in range(8)]
VIEWS = ("user", "item", "shop", "place")


class Instance(BaseModel):
    """An id for each view."""

    user: str
    item: str
    shop: str
    place: str


class PredictRequest(BaseModel):
    """The body."""

    instances: list[Instance]


class PredictResponse(BaseModel):
    """The answer."""

    predictions: list[list[float]]


def application(model: OnnxModel, url: str) -> FastAPI:
    """One route: every entity of the request in one pipeline, then one run of all rows."""
    app = FastAPI()
    client = redis.asyncio.Redis.from_url(url, protocol=2)

    @app.post("/v1/models/mlp:predict")
    async def predict(request: PredictRequest) -> PredictResponse:
        pipeline = client.pipeline(transaction=False)
        for instance in request.instances:
            for view in VIEWS:
                pipeline.hmget(f"{view}:{getattr(instance, view)}", COLUMNS)
        found = await pipeline.execute()
        rows = [
            [float(value) for hashed in found[start : start + len(VIEWS)] for value in hashed]
            for start in range(0, len(found), len(VIEWS))
        ]
        return PredictResponse(predictions=[answer["outputs"][0]["data"] for answer in model.answers(rows)])

    return app


if __name__ == "__main__":
    given = options.read()
    app = application(OnnxModel(given.models / "mlp" / "1" / "model.onnx"), (given.models / "features.url").read_text())
    uvicorn.run(app, host=options.ADDRESS, port=given.port, loop="uvloop", http="httptools", access_log=False)
