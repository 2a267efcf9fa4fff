"""PyTriton: the Triton of its wheel in front of a Python function, dynamic batches without delay."""

# ruff: noqa: ANN401 -- PyTriton gives arrays by the names of the inputs

from __future__ import annotations

import signal
from typing import Any

import numpy as np
from pytriton.decorators import batch  # type: ignore[import-not-found]  # in an environment of its own only
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor  # type: ignore[import-not-found]
from pytriton.triton import Triton, TritonConfig  # type: ignore[import-not-found]

from benchmarks.peers import options
from benchmarks.peers.onnx_model import newest, session


def function(path: Any) -> Any:
    """What runs a batch, as its documentation has it."""
    model = session(path)
    name, output = model.get_inputs()[0].name, model.get_outputs()[0].name

    @batch  # type: ignore[untyped-decorator]
    def infer(**inputs: Any) -> dict[str, Any]:
        return {output: model.run(None, {name: inputs[name]})[0]}

    return infer


if __name__ == "__main__":
    given = options.read("max-batch", "wait-us")
    # As with Ctrl-C: told to end by SIGTERM, it leaves Triton behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    path = newest(given.models)["mlp"]
    config = TritonConfig(
        http_address=options.ADDRESS,
        http_port=given.port,
        grpc_address=options.ADDRESS,
        grpc_port=given.grpc_port,
        allow_metrics=False,
        log_verbose=0,
    )
    batcher = DynamicBatcher(max_queue_delay_microseconds=int(given.wait_us))
    with Triton(config=config, workspace=given.scratch / "pytriton") as triton:
        triton.bind(
            model_name="mlp",
            infer_func=function(path),
            inputs=[Tensor(name="input", dtype=np.float32, shape=(32,))],
            outputs=[Tensor(name="output", dtype=np.float32, shape=(2,))],
            config=ModelConfig(max_batch_size=int(given.max_batch), batcher=batcher),
            # Checks of types and shapes cost, and the model makes them.
            strict=False,
        )
        triton.serve()
