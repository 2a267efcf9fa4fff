"""Infer messages of gRPC: tensors as raw bytes or in the typed fields, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.conformance.check import Failed
from serving.conformance.datatypes import DATATYPES, Array, from_bytes, to_bytes
from serving.conformance.tensors import Tensor, product
from serving.protocol.open_inference import InferParameter, ModelInferRequest, ModelInferResponse

# The field of InferTensorContents that holds a datatype; FP16 and BF16 have none.
FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def raw_request(model: str, inputs: Sequence[Tensor], **fields: Any) -> ModelInferRequest:  # noqa: ANN401 - of the message
    """Data of all inputs as raw bytes."""
    return ModelInferRequest(
        model_name=model,
        inputs=[_head(one) for one in inputs],
        raw_input_contents=[to_bytes(one.values) for one in inputs],
        **fields,
    )


def typed_request(model: str, inputs: Sequence[Tensor], **fields: Any) -> ModelInferRequest:  # noqa: ANN401 - as above
    """Data of all inputs in the field of their datatype."""
    request = ModelInferRequest(model_name=model, inputs=[_head(one) for one in inputs], **fields)
    for entry, tensor in zip(request.inputs, inputs, strict=True):
        getattr(entry.contents, FIELDS[tensor.datatype]).extend(tensor.values.ravel().tolist())
    return request


def wanted(*names: str) -> list[ModelInferRequest.InferRequestedOutputTensor]:
    """Outputs by name."""
    return [ModelInferRequest.InferRequestedOutputTensor(name=name) for name in names]


def parameters(**given: int) -> Mapping[str, InferParameter]:
    """Parameters of numbers."""
    return {name: InferParameter(int64_param=value) for name, value in given.items()}


def outputs_of(answer: ModelInferResponse) -> dict[str, Tensor]:
    """Outputs in their order, raw or typed.

    Raises:
        Failed: they cannot be read.
    """
    raw = list(answer.raw_output_contents)
    if raw and len(raw) != len(answer.outputs):
        raise Failed(f"{len(answer.outputs)} outputs have {len(raw)} raw contents")
    found = {}
    for place, entry in enumerate(answer.outputs):
        datatype = DATATYPES.get(entry.datatype)
        if datatype is None:
            raise Failed(f"output {entry.name!r} has no datatype of the protocol: {entry.datatype!r}")
        try:
            values = from_bytes(datatype, raw[place]) if raw else _typed(entry)
        except ValueError as error:
            raise Failed(f"output {entry.name!r} cannot be read: {error}") from error
        if len(values) != product(entry.shape):
            raise Failed(f"output {entry.name!r} of shape {list(entry.shape)} has {len(values)} elements")
        found[entry.name] = Tensor(entry.name, entry.datatype, tuple(entry.shape), values)
    return found


def _head(tensor: Tensor) -> ModelInferRequest.InferInputTensor:
    return ModelInferRequest.InferInputTensor(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)


def _typed(entry: ModelInferResponse.InferOutputTensor) -> Array:
    field = FIELDS.get(entry.datatype)
    if field is None:
        raise ValueError(f"{entry.datatype} has no typed contents, and there are no raw ones")
    return DATATYPES[entry.datatype].array(list(getattr(entry.contents, field)))
