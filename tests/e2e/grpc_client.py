"""Requests over gRPC by grpc's own client, and arrays to and from its messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.protocol.open_inference import ModelInferRequest, ModelInferResponse
from tests.e2e.tensors import DATATYPES, Array

INFER = "/inference.GRPCInferenceService/ModelInfer"
_DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}
# Which field of typed contents has the values of a datatype.
_FIELDS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def infer_on(channel: Any) -> Any:
    """The method, for messages."""
    return channel.unary_unary(
        INFER,
        request_serializer=ModelInferRequest.SerializeToString,
        response_deserializer=ModelInferResponse.FromString,
    )


def raw_request(model: str, inputs: Mapping[str, Array]) -> ModelInferRequest:
    """The inputs as bytes."""
    asked = ModelInferRequest(model_name=model)
    for name, array in inputs.items():
        asked.inputs.add(name=name, datatype=DATATYPES[array.dtype.name], shape=array.shape)
        asked.raw_input_contents.append(_packed(array))
    return asked


def typed_request(model: str, inputs: Mapping[str, Array]) -> ModelInferRequest:
    """The inputs as values in the field of their datatype."""
    asked = ModelInferRequest(model_name=model)
    for name, array in inputs.items():
        datatype = DATATYPES[array.dtype.name]
        tensor = asked.inputs.add(name=name, datatype=datatype, shape=array.shape)
        values = array.ravel().tolist()
        contents = [value.encode() for value in values] if datatype == "BYTES" else values
        getattr(tensor.contents, _FIELDS[datatype]).extend(contents)
    return asked


def arrays_of(answer: ModelInferResponse) -> dict[str, Array]:
    """The outputs by name; an answer is always raw."""
    assert len(answer.outputs) == len(answer.raw_output_contents)
    assert not any(output.HasField("contents") for output in answer.outputs)
    return {
        output.name: _unpacked(output.datatype, raw).reshape(tuple(output.shape))
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


def _packed(array: Array) -> bytes:
    if array.dtype.name != "object":
        return array.tobytes()
    texts = [text.encode() for text in array.ravel().tolist()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _unpacked(datatype: str, raw: bytes) -> Array:
    if datatype != "BYTES":
        return np.frombuffer(raw, _DTYPES[datatype])
    texts, position = [], 0
    while position < len(raw):
        start = position + 4
        position = start + int.from_bytes(raw[position:start], "little")
        texts.append(raw[start:position].decode())
    return np.array(texts, object)
