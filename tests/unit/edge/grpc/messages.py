"""Requests as clients of the protocol write them."""

from __future__ import annotations

import struct
from typing import Any

from serving.edge.grpc.codec import Codec, Decoded
from serving.inference import Buffer
from serving.protocol.open_inference import InferParameter, ModelInferRequest


def floats(*values: float) -> bytes:
    """FP32, little-endian."""
    return struct.pack(f"<{len(values)}f", *values)


def request(**changes: Any) -> ModelInferRequest:
    """One row of four numbers for `mlp`, raw, and fields that are set besides."""
    asked = ModelInferRequest(model_name="mlp")
    asked.inputs.add(name="input", datatype="FP32", shape=[1, 4])
    asked.raw_input_contents.append(floats(1, 2, 3, 6))
    for name, value in changes.items():
        setattr(asked, name, value)
    return asked


def typed(datatype: str, shape: list[int], **contents: Any) -> ModelInferRequest:
    """One input with typed contents."""
    asked = ModelInferRequest(model_name="mlp")
    tensor = asked.inputs.add(name="input", datatype=datatype, shape=shape)
    tensor.contents.SetInParent()
    for name, values in contents.items():
        getattr(tensor.contents, name).extend(values)
    return asked


def with_parameters(asked: ModelInferRequest, **parameters: InferParameter) -> ModelInferRequest:
    """The same with parameters of the request."""
    for name, parameter in parameters.items():
        asked.parameters[name].CopyFrom(parameter)
    return asked


def decoded(codec: Codec, message: Buffer) -> Decoded:
    """What a codec makes of a message, after all steps where it takes some."""
    came = codec.decode(message)
    while not isinstance(came, Decoded):
        try:
            next(came)
        except StopIteration as ended:
            came = ended.value
    return came
