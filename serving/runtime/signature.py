"""What a model takes and gives, read from ONNX Runtime's declarations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from serving.errors import ModelUnservable
from serving.inference import Signature, TensorSpec

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(bfloat16)": "BF16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}

# The first part of ONNX Runtime's type, and what its owner can do about it.
_REMEDIES = (
    ("seq(map(", "export without ZipMap (skl2onnx: options={'zipmap': False}, onnxmltools: zipmap=False)"),
    ("map(", "export without ZipMap or DictVectorizer, with tensors in and out"),
    ("seq(", "put ConcatFromSequence behind it, so that the graph ends in a tensor"),
    ("optional(", "export the graph without the optional: take the value itself as a tensor"),
    ("sparse_tensor(", "export it dense"),
    ("tensor(float8", "put a Cast to float or float16 at this edge of the graph"),
    ("tensor(complex", "split real and imaginary part into two float tensors"),
)


_MOST_OPTIONAL = 16


class Declared(Protocol):
    """An input or output as ONNX Runtime describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


def signature_of(inputs: Iterable[Declared], outputs: Iterable[Declared], unranked: Collection[str] = ()) -> Signature:
    """Dimensions that are named or left open become -1; `unranked` names inputs that declare no shape at all.

    ONNX Runtime reports those with the shape of a scalar, so they have to be found in the file.

    Raises:
        ModelUnservable: no inputs, no outputs, or one that cannot travel as a tensor; says what to export instead.
    """
    signature = Signature(
        tuple(_spec("input", declared) for declared in inputs),
        tuple(_spec("output", declared) for declared in outputs),
    )
    for side, specs in (("input", signature.inputs), ("output", signature.outputs)):
        if not specs:
            raise ModelUnservable(f"the graph has no {side}; export it with at least one")
    for spec in signature.inputs:
        if spec.name in unranked:
            raise ModelUnservable(
                f"input {spec.name!r} declares no shape, so requests cannot be checked; "
                "export it with one, for example ['batch', 32] for rows of 32 values"
            )
    return signature


def optional_inputs(initializers: Iterable[Declared], unranked: Collection[str] = ()) -> tuple[TensorSpec, ...]:
    """Inputs that have a default in the graph and that a request may give; none where these are a model's weights.

    Some exporters list every weight as an input. Nobody gives those, and the tensor stream tells at most 16 apart.
    """
    found = tuple(
        TensorSpec(
            declared.name, _DATATYPES[declared.type], tuple(_size(size) for size in declared.shape), optional=True
        )
        for declared in initializers
        if declared.type in _DATATYPES and declared.name not in unranked
    )
    return found if len(found) <= _MOST_OPTIONAL else ()


def _spec(side: str, declared: Declared) -> TensorSpec:
    datatype = _DATATYPES.get(declared.type)
    if datatype is None:
        raise ModelUnservable(f"{side} {declared.name!r} is {declared.type}; {_remedy(declared.type)}")
    return TensorSpec(declared.name, datatype, tuple(_size(dimension) for dimension in declared.shape))


def _size(dimension: int | str | None) -> int:
    # Some exporters write 0 for "any size", and ONNX Runtime takes it so as well.
    return dimension if isinstance(dimension, int) and dimension > 0 else -1


def _remedy(kind: str) -> str:
    for start, remedy in _REMEDIES:
        if kind.startswith(start):
            return remedy
    return "export it with one of " + ", ".join(_DATATYPES)
