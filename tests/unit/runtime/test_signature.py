"""ONNX Runtime's declarations in the protocol's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from serving.errors import ModelUnservable
from serving.inference import Signature, TensorSpec
from serving.runtime.signature import signature_of


@dataclass
class Value:
    """What onnxruntime tells of an input or output."""

    name: str
    type: str
    shape: Sequence[int | str | None]


X = Value("x", "tensor(float)", ["batch", 3])


def test_named_open_and_zero_dimensions_are_of_any_size() -> None:
    found = signature_of([Value("x", "tensor(float)", ["batch", None, 0, -1, 3])], [X])
    assert found.inputs[0].shape == (-1, -1, -1, -1, 3)


def test_inputs_and_outputs_keep_the_models_order() -> None:
    b, a = Value("b", "tensor(int64)", []), Value("a", "tensor(string)", [1])
    assert signature_of([b, a], [a, b]) == Signature(
        (TensorSpec("b", "INT64", ()), TensorSpec("a", "BYTES", (1,))),
        (TensorSpec("a", "BYTES", (1,)), TensorSpec("b", "INT64", ())),
    )


@pytest.mark.parametrize(
    ("kind", "datatype"),
    [
        ("bool", "BOOL"),
        ("uint8", "UINT8"),
        ("uint16", "UINT16"),
        ("uint32", "UINT32"),
        ("uint64", "UINT64"),
        ("int8", "INT8"),
        ("int16", "INT16"),
        ("int32", "INT32"),
        ("int64", "INT64"),
        ("float16", "FP16"),
        ("float", "FP32"),
        ("double", "FP64"),
        ("string", "BYTES"),
    ],
)
def test_each_tensor_type_has_the_protocols_name(kind: str, datatype: str) -> None:
    found = signature_of([X], [Value("y", f"tensor({kind})", [None])])
    assert found.outputs[0].datatype == datatype


@pytest.mark.parametrize(
    "kind",
    [
        "seq(map(int64,tensor(float)))",
        "map(string,tensor(float))",
        "seq(tensor(float))",
        "optional(tensor(float))",
        "sparse_tensor(float)",
        "tensor(float8e4m3fn)",
        "tensor(complex64)",
        "tensor(int4)",
        "opaque(whatever)",
    ],
)
def test_a_type_that_cannot_travel_is_refused_with_what_to_export_instead(kind: str) -> None:
    with pytest.raises(ModelUnservable) as raised:
        signature_of([X], [Value("y", kind, [])])
    what, _, remedy = raised.value.message.rpartition("; ")
    assert what == f"output 'y' is {kind}"
    assert remedy


def test_a_graph_needs_inputs_and_outputs_of_known_rank() -> None:
    with pytest.raises(ModelUnservable, match="no input"):
        signature_of([], [X])
    with pytest.raises(ModelUnservable, match="no output"):
        signature_of([X], [])
    with pytest.raises(ModelUnservable, match="input 'x' declares no shape"):
        signature_of([X], [X], {"x"})
