"""The protocols' message types, in a descriptor pool of their own.

Clients of the protocol (tritonclient, KServe, MLServer) each register a package `inference` in protobuf's default
pool, and the second one to do so fails. Sluice registers nothing there, so a process can import it beside any of them.
`make protocol` writes `descriptors.binpb` and the type stubs from the .proto files.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

__all__ = ["POOL", "DecodeError", "definitions", "file_named", "file_with", "filled"]

POOL = DescriptorPool()

_Filled = TypeVar("_Filled", bound=Message)

for _file in FileDescriptorSet.FromString((files("serving.protocol") / "descriptors.binpb").read_bytes()).file:
    POOL.AddSerializedFile(_file.SerializeToString())


def definitions(file: str) -> dict[str, object]:
    """The messages and enumerations of a .proto file by their names in it, and its DESCRIPTOR."""
    described = POOL.FindFileByName(file)
    messages = {name: GetMessageClass(kind) for name, kind in described.message_types_by_name.items()}
    enums = {name: EnumTypeWrapper(kind) for name, kind in described.enum_types_by_name.items()}
    values = {value.name: value.number for kind in described.enum_types_by_name.values() for value in kind.values}
    return {**messages, **enums, **values, "DESCRIPTOR": described}


def file_named(name: str) -> bytes | None:
    """A serialized FileDescriptorProto; None where there is no such file."""
    try:
        return POOL.FindFileByName(name).serialized_pb
    except KeyError:
        return None


def file_with(symbol: str) -> bytes | None:
    """The serialized FileDescriptorProto that has this service, method, message or enumeration; None without one."""
    try:
        return POOL.FindFileContainingSymbol(symbol).serialized_pb
    except KeyError:
        return None


def filled(message: _Filled, document: Mapping[str, Any]) -> _Filled:
    """The message with what a JSON document has for its fields; what it has no field for is left out."""
    return json_format.ParseDict(dict(document), message, ignore_unknown_fields=True, descriptor_pool=POOL)
