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
    values = values_of(name, datatype, contents)
    if len(values) != count:
        raise wrong_count(name, datatype, count, len(values))
    if datatype in _AS_THEY_ARE:
        return _packed(contents, ELEMENT_SIZE[datatype] * count)
    if count > limits.max_typed_elements:
        raise too_many(name, datatype, count, limits)
    if datatype == "BOOL":
        return bytes(contents.bool_contents)
    if datatype != "BYTES":
        return pack(name, datatype, values, False)  # noqa: FBT003 - protobuf has no truth among numbers
    data = b"".join([_LENGTH.pack(len(value)) + value for value in values])
    check_strings(name, count, data, limits.max_string_bytes)
    return data


def field_of(name: str, datatype: str) -> str:
    """The field of a datatype's values.

    Raises:
        BadRequest: it has none.
    """
    field = _FIELDS.get(datatype)
    if field is None:
        raise BadRequest(f"input {name!r}: {datatype} has no typed contents; send it in raw_input_contents")
    return field


def wrong_count(name: str, datatype: str, count: int, found: int) -> BadRequest:
    """The refusal of as many values as do not fill the shape."""
    return BadRequest(f"input {name!r}: its shape needs {count} values, but {_FIELDS[datatype]} has {found}")


def too_many(name: str, datatype: str, count: int, limits: GrpcLimits) -> TooLarge:
    """The refusal of values over the limit."""
    return TooLarge(
        f"input {name!r}: at most {limits.max_typed_elements} values of {datatype} are taken as typed contents, "
        f"got {count}; send them in raw_input_contents"
    )


def values_of(name: str, datatype: str, contents: InferTensorContents) -> Sequence[bytes]:
    """The values in the field of the datatype.

    Raises:
        BadRequest: there are others.
    """
    field = field_of(name, datatype)
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
