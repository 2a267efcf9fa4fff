"""Tensors as bytes, turned into NumPy arrays for the model and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.errors import ModelFailed
from serving.inference import Buffer, Stacked, Tensor, TensorSpec

Array = npt.NDArray[Any]

# What the model's side can hold in an array. NumPy has no bfloat16: its bits stand in an array (bfloat16.py).
DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(np.object_),
}

_LENGTH = Struct("<I")

# Below this a copy (0.1 us) costs less than the memoryviews that would save it, here and in whoever slices rows.
_COPY_BELOW_BYTES = 65_536


def as_arrays(inputs: Iterable[Stacked | Tensor]) -> list[Array]:
    """Arrays over the very bytes of the inputs, read-only where those are; only BYTES and unaligned data are copied.

    Raises:
        ModelFailed: the bytes do not fill the shape, or a BYTES element is not UTF-8.
    """
    return [as_array(item) for item in inputs]


def as_array(item: Stacked | Tensor) -> Array:
    """One input as an array of its declared shape; see `as_arrays`."""
    data = _joined(item.parts) if isinstance(item, Stacked) else item.data
    if item.datatype == "BYTES":
        return _strings(item.name, item.shape, data)
    try:
        array: Array = np.ndarray(item.shape, DTYPES[item.datatype], data)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFailed(_misfit(item, data)) from error
    # A buffer that is too long passes `ndarray`, which would leave rows unseen.
    if array.nbytes != len(data):
        raise ModelFailed(_misfit(item, data))
    # Python's own bytes begin at a multiple of 16; asking the array for it takes 0.2 us of a run's 10.
    return array if type(data) is bytes or array.flags.aligned else array.copy()


def _joined(parts: Sequence[Buffer]) -> Buffer:
    return parts[0] if len(parts) == 1 else b"".join(parts)


def as_tensors(arrays: Sequence[Array], specs: Sequence[TensorSpec]) -> tuple[Tensor, ...]:
    """A model's outputs as tensors of the given names and datatypes, in the same order.

    Raises:
        ModelFailed: an output is not an array of the declared datatype.
    """
    return tuple([_tensor(array, spec) for array, spec in zip(arrays, specs, strict=True)])


def _tensor(array: Array, spec: TensorSpec) -> Tensor:
    datatype = spec.datatype
    # Sequences and maps are lists and have no dtype at all.
    found = getattr(array, "dtype", None)
    if found != DTYPES[datatype]:
        kind = type(array).__name__ if found is None else found
        raise ModelFailed(f"output {spec.name!r} is {kind} where the model declares {datatype}")
    if datatype == "BYTES":
        return Tensor(spec.name, datatype, array.shape, joined_strings(array.ravel().tolist()))
    if array.nbytes < _COPY_BELOW_BYTES:
        return Tensor(spec.name, datatype, array.shape, array.tobytes())
    return Tensor(spec.name, datatype, array.shape, np.ascontiguousarray(array).data.cast("B"))


def joined_strings(elements: Iterable[str | bytes]) -> bytes:
    """BYTES elements as they travel: each a little-endian uint32 length and its bytes; text becomes UTF-8."""
    parts = []
    for element in elements:
        raw = element.encode() if isinstance(element, str) else element
        parts.append(_LENGTH.pack(len(raw)))
        parts.append(raw)
    return b"".join(parts)


def _strings(name: str, shape: tuple[int, ...], data: Buffer) -> Array:
    # ONNX strings are UTF-8, and onnxruntime takes text alone: bytes in an object array reach the model as the
    # text of their repr, b'...', so anything that is no UTF-8 has to be refused here.
    count = prod(shape)
    array: Array = np.empty(count, dtype=object)
    raw = bytes(data)
    position = 0
    for index in range(count):
        start = position + _LENGTH.size
        if start > len(raw):
            raise ModelFailed(f"input {name!r}: its bytes end at element {index} of {count}")
        position = start + _LENGTH.unpack_from(raw, position)[0]
        if position > len(raw):
            raise ModelFailed(f"input {name!r}: its bytes end within element {index} of {count}")
        try:
            array[index] = raw[start:position].decode()
        except UnicodeDecodeError as error:
            raise ModelFailed(
                f"input {name!r}: element {index} is not UTF-8, which ONNX strings have to be ({error.reason})"
            ) from error
    if position != len(raw):
        raise ModelFailed(f"input {name!r}: {len(raw) - position} bytes are left after {count} elements")
    return array.reshape(shape)


def _misfit(item: Stacked | Tensor, data: Buffer) -> str:
    dtype = DTYPES.get(item.datatype)
    if dtype is None:
        return f"input {item.name!r}: datatype {item.datatype} is not supported; use one of {', '.join(DTYPES)}"
    wanted = prod(item.shape) * dtype.itemsize
    shape = list(item.shape)
    return f"input {item.name!r}: {len(data)} bytes where shape {shape} of {item.datatype} takes {wanted}"
