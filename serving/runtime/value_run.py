"""Runs models of bfloat16, for which onnxruntime makes no arrays: they go in and come out as values of its own."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnxruntime as ort

from serving.errors import ModelUnservable
from serving.inference import Signature
from serving.runtime.bfloat16 import BF16, CARRIER
from serving.runtime.tensor_arrays import Array

# TensorProto.BFLOAT16.
_ELEMENT_TYPE = 16

RunArrays = Callable[[Sequence[str], Mapping[str, Array], ort.RunOptions | None], list[Array]]


def needs_values(signature: Signature) -> bool:
    """Whether anything that goes in or comes out is bfloat16."""
    return any(spec.datatype == BF16 for spec in (*signature.inputs, *signature.optional, *signature.outputs))


def run_by_values(session: ort.InferenceSession, signature: Signature) -> RunArrays:
    """`session.run`, with the bits of bfloat16 as uint16; it takes 50 us more.

    Raises:
        ModelUnservable: an input is text, of which onnxruntime makes no values.
    """
    inputs = (*signature.inputs, *signature.optional)
    halves = {spec.name for spec in inputs if spec.datatype == BF16}
    for spec in inputs:
        if spec.datatype == "BYTES":
            raise ModelUnservable(
                f"input {spec.name!r} is text in a graph with tensor(bfloat16) at its edge; put a Cast to float there"
            )

    def run(names: Sequence[str], feeds: Mapping[str, Array], options: ort.RunOptions | None) -> list[Array]:
        # The values are views: `feeds` keeps what they show.
        values = {
            name: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _ELEMENT_TYPE)
            if name in halves
            else ort.OrtValue.ortvalue_from_numpy(array)
            for name, array in feeds.items()
        }
        return [_array(value) for value in session.run_with_ort_values(names, values, options)]

    return run


def _array(value: ort.OrtValue) -> Array:
    if value.element_type() != _ELEMENT_TYPE:
        array: Array = value.numpy()
        return array
    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(raw, CARRIER).reshape(value.shape())
