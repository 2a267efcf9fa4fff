"""Typed contents of one input to its bytes: the field of its datatype, an exact count, every value in range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct

from serving.edge.binary_elements import check_strings
from serving.edge.grpc.limits import GrpcLimits
from serving.edge.typed_elements import pack
from serving.errors import BadRequest, TooLarge
from serving.inference import ELEMENT_SIZE
from serving.protocol.open_inference import InferTensorContents

_LENGTH = Struct("<I")
_FIELDS: Mapping[str, str] = {
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
# Packed on the wire as they are in a tensor (protobuf: little-endian, fixed width).
_AS_THEY_ARE = frozenset(("FP32", "FP64"))


def typed(name: str, datatype: str, count: int, contents: InferTensorContents, limits: GrpcLimits) -> bytes:
    """The elements of `contents` as bytes, little-endian; BYTES elements get their length (uint32) in front.

    Raises:
        BadRequest: names the input, and what would be right.
        TooLarge: so many values go raw.
    """
    values = _values(name, datatype, contents)
    if len(values) != count:
        field = _FIELDS[datatype]
        raise BadRequest(f"input {name!r}: its shape needs {count} values, but {field} has {len(values)}")
    if datatype in _AS_THEY_ARE:
        return _packed(contents, ELEMENT_SIZE[datatype] * count)
    if count > limits.max_typed_elements:
        raise TooLarge(
            f"input {name!r}: at most {limits.max_typed_elements} values of {datatype} are taken as typed contents, "
            f"got {count}; send them in raw_input_contents"
        )
    if datatype == "BOOL":
        return bytes(contents.bool_contents)
    if datatype != "BYTES":
        return pack(name, datatype, values, False)  # noqa: FBT003 - protobuf has no truth among numbers
    data = b"".join([_LENGTH.pack(len(value)) + value for value in values])
    check_strings(name, count, data, limits.max_string_bytes)
    return data


def _values(name: str, datatype: str, contents: InferTensorContents) -> Sequence[bytes]:
    field = _FIELDS.get(datatype)
    if field is None:
        raise BadRequest(f"input {name!r}: {datatype} has no typed contents; send it in raw_input_contents")
    wrong = [given.name for given, _ in contents.ListFields() if given.name != field]
    if wrong:
        raise BadRequest(f"input {name!r}: {datatype} belongs into {field}, got {wrong[0]}")
    values: Sequence[bytes] = getattr(contents, field)
    return values


def _packed(contents: InferTensorContents, size: int) -> bytes:
    """The only field's payload, which ends the serialized message; converting value by value takes 20 times as long."""
    contents.DiscardUnknownFields()
    serialized = contents.SerializeToString()
    return serialized[len(serialized) - size :]
