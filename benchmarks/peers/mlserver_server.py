"""MLServer: a runtime made as its documentation has it, in its main process, with or without batches."""

# ruff: noqa: ANN401 -- MLServer has no types here

from __future__ import annotations

import asyncio
from typing import Any

from mlserver import MLModel, MLServer
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters, ModelSettings, Settings
from mlserver.types import InferenceResponse

from benchmarks.peers import options
from benchmarks.peers.onnx_model import newest, session


class Mlp(MLModel):  # type: ignore[misc,unused-ignore]
    """One session of onnxruntime."""

    async def load(self) -> bool:
        """Load the file that the settings name."""
        self._session = session(self.settings.parameters.uri)
        self._input = self._session.get_inputs()[0].name
        return True

    async def predict(self, payload: Any) -> Any:
        """Run it on the rows of a batch."""
        values = self._session.run(None, {self._input: NumpyCodec.decode_input(payload.inputs[0])})[0]
        outputs = [NumpyCodec.encode_output("output", values)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


async def serve(given: Any) -> None:
    """Serve until the process is ended."""
    # Workers of their own cost a hop and a pickle each: none is its quickest way to run so small a model.
    settings = Settings(
        debug=False,
        host=options.ADDRESS,
        http_port=given.port,
        grpc_port=given.grpc_port,
        metrics_endpoint=None,
        parallel_workers=0,
    )
    model = ModelSettings(
        name="mlp",
        implementation=Mlp,
        parameters=ModelParameters(uri=str(newest(given.models)["mlp"])),
        max_batch_size=int(given.max_batch),
        max_batch_time=0.001 if int(given.max_batch) else 0.0,
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(serve(options.read("max-batch")))
