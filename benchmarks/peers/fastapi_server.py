"""What most teams write: FastAPI with pydantic models for request and answer, on uvicorn, the model inline."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers import options
from benchmarks.peers.onnx_model import OnnxModel


class InputTensor(BaseModel):
    """One input of the Open Inference Protocol."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferRequest(BaseModel):
    """The body."""

    inputs: list[InputTensor]


class OutputTensor(BaseModel):
    """One output's values."""

    data: list[float]


class InferResponse(BaseModel):
    """The answer."""

    outputs: list[OutputTensor]


def application(model: OnnxModel) -> FastAPI:
    """One route; `async def`, since a thread for each request costs more than the model."""
    app = FastAPI()

    @app.post("/v2/models/mlp/infer")
    async def infer(request: InferRequest) -> InferResponse:
        outputs = model.answers([request.inputs[0].data])[0]["outputs"]
        return InferResponse(outputs=[OutputTensor(data=output["data"]) for output in outputs])

    return app


if __name__ == "__main__":
    given = options.read()
    app = application(OnnxModel(given.models / "mlp" / "1" / "model.onnx"))
    uvicorn.run(app, host=options.ADDRESS, port=given.port, loop="uvloop", http="httptools", access_log=False)
