"""LitServe as its guide to speed has it: batches, its fast queue (ZeroMQ), one API server and one worker."""

# ruff: noqa: ANN401, D102 -- the names and types are those of LitServe

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import litserve  # type: ignore[import-not-found]  # in an environment of its own only

from benchmarks.peers import options
from benchmarks.peers.onnx_model import OnnxModel, newest


class Mlp(litserve.LitAPI):  # type: ignore[misc]
    """Decodes, runs and encodes in the worker's process, as LitServe does."""

    def __init__(self, path: Path, max_batch: int, wait_s: float) -> None:
        super().__init__(max_batch_size=max_batch, batch_timeout=wait_s, api_path="/v2/models/mlp/infer")
        self._path = path

    def setup(self, device: str) -> None:
        del device
        self._model = OnnxModel(self._path)

    # Without a type: LitServe gives FastAPI whatever stands there, which would look for it in the query.
    def decode_request(self, request, **_: Any) -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return request["inputs"][0]["data"]

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, x: Any, **_: Any) -> Any:
        # Unbatched, LitServe passes one request's data, and not a list of them.
        return self._model.answers(x) if self.max_batch_size > 1 else self._model.answers([x])[0]

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output: Any, **_: Any) -> Any:
        return output


if __name__ == "__main__":
    given = options.read("max-batch", "wait-ms")
    # As with Ctrl-C: told to end by SIGTERM, its processes stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    model = Mlp(newest(given.models)["mlp"], int(given.max_batch), int(given.wait_ms) / 1e3)
    # More API servers or workers than one of each were slower where two cores are shared with the client.
    server = litserve.LitServer(model, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        host=options.ADDRESS,
        port=given.port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
