"""An MLServer runtime that runs an ONNX file, as MLServer's documentation has custom runtimes made.

Tensors are decoded and encoded by MLServer's own codecs; names of inputs and outputs are the runtime's to judge there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import Datatype, InferenceRequest, InferenceResponse, RequestInput, ResponseOutput
from mlserver.utils import get_model_uri


class OnnxModel(MLModel):  # type: ignore[misc,unused-ignore]
    """One session of onnxruntime."""

    async def load(self) -> bool:
        """Load the file that the model's settings name."""
        self._session = onnxruntime.InferenceSession(await get_model_uri(self._settings))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run it; what onnxruntime refuses is the caller's mistake."""
        known = [one.name for one in self._session.get_outputs()]
        wanted = [one.name for one in payload.outputs or []] or known
        if unknown := set(wanted) - set(known):
            raise InferenceError(f"no outputs {sorted(unknown)}")
        feeds = {one.name: _array(one) for one in payload.inputs}
        try:
            values = self._session.run(wanted, feeds)
        except Exception as error:
            raise InferenceError(str(error)) from error
        outputs = [_output(name, array) for name, array in zip(wanted, values, strict=True)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def _array(given: RequestInput) -> npt.NDArray[Any]:
    # A member of the enum over HTTP, its value over gRPC.
    if Datatype(given.datatype) is Datatype.BYTES:
        # NumpyCodec cuts text at its first NUL, so the codec for text is the fair one.
        try:
            return np.array(StringCodec.decode_input(given), dtype=object).reshape(given.shape)
        except UnicodeDecodeError as error:
            raise InferenceError(f"input {given.name!r} is no text: {error}") from error
    array: npt.NDArray[Any] = NumpyCodec.decode_input(given)
    return array


def _output(name: str, array: npt.NDArray[Any]) -> ResponseOutput:
    if array.dtype == object:
        coded = StringCodec.encode_output(name, array.ravel().tolist())
    else:
        coded = NumpyCodec.encode_output(name, array)
    # The codecs write shapes of their own: a batch dimension for scalars, [n, 1] for text.
    coded.shape = list(array.shape)
    return coded
