"""What an infer request says beside its tensors: its id, its parameters, and the outputs it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from serving.edge.typed_elements import shown
from serving.errors import BadRequest

_MAX_ID = 4096
_REQUEST_KEYS = frozenset(("id", "parameters", "inputs", "outputs", "model_name", "model_version"))
_OUTPUT_KEYS = frozenset(("name", "parameters", "shape", "datatype"))
_SEQUENCE = frozenset(("sequence_id", "sequence_start", "sequence_end"))
_SHARED_MEMORY = "shared_memory_"
# More would be longer than any clock here counts; 0 stands for no time-out of its own.
_MAX_TIMEOUT_US = 10**15
_MAX_PRIORITY = 2**64 - 1


class Options(NamedTuple):
    """`id_json` is the id as JSON; `outputs` the names asked for, in order (None: all).

    `binary` says which of them are answered as bytes: all, none, or one truth for each name. `priority` 0 is the
    model's default, 1 the highest.
    """

    id_json: bytes = b'""'
    outputs: tuple[str, ...] | None = None
    binary: bool | tuple[bool, ...] = False
    timeout_s: float | None = None
    priority: int = 0


def options_of(document: Mapping[str, object], most_outputs: int) -> Options:
    """Everything of a request but its inputs.

    Raises:
        BadRequest: names the field, and what would be right.
    """
    refuse_unknown(document, _REQUEST_KEYS, "the request")
    identity = document.get("id", "")
    if type(identity) is not str or len(identity) > _MAX_ID:
        raise BadRequest(f"`id` must be a string of at most {_MAX_ID} characters, got {shown(identity)}")
    parameters = _object(document.get("parameters"), "`parameters`")
    all_binary = False
    timeout_s, priority = None, 0
    if parameters:
        _refuse_reserved(parameters, "the request")
        all_binary = _truth(parameters, "binary_data_output", "the request")
        timeout_s = _timeout(parameters)
        priority = _whole(parameters, "priority", _MAX_PRIORITY, "0 is the default, 1 the highest")
    names, binary = _outputs(document.get("outputs"), most_outputs, all_binary=all_binary)
    return Options(orjson.dumps(identity), names, binary, timeout_s, priority)


def refuse_unknown(entry: Mapping[str, object], known: frozenset[str], where: str) -> None:
    """Raise BadRequest for the first field that is not `known`."""
    for key in entry:
        if key not in known:
            raise BadRequest(f"{where}: unknown field {shown(key)}; known are {', '.join(sorted(known))}")


def binary_size(entry: Mapping[str, object], name: str) -> int | None:
    """How many bytes of an input follow the JSON part; None where its parameters do not say.

    Raises:
        BadRequest: it is no size, or the input is said to be in shared memory.
    """
    parameters = _object(entry.get("parameters"), f"input {name!r}: `parameters`")
    if not parameters:
        return None
    _refuse_shared_memory(parameters, f"input {name!r}")
    if "binary_data_size" not in parameters:
        return None
    size = parameters["binary_data_size"]
    if type(size) is not int or size < 0:
        raise BadRequest(f"input {name!r}: `binary_data_size` is a number of bytes, got {shown(size)}")
    return size


def _outputs(wanted: object, most: int, *, all_binary: bool) -> tuple[tuple[str, ...] | None, bool | tuple[bool, ...]]:
    if wanted is None:
        return None, all_binary
    if type(wanted) is not list:
        raise BadRequest(f"`outputs` must be an array of objects with a name, got {shown(wanted)}")
    if len(wanted) > most:
        raise BadRequest(f"`outputs` names {len(wanted)} outputs; a request may have {most} (http.max_tensors)")
    asked = [_output(entry, position, all_binary=all_binary) for position, entry in enumerate(wanted)]
    if not asked:
        return None, all_binary
    names = tuple([name for name, _ in asked])
    if len(set(names)) != len(names):
        raise BadRequest("`outputs` names an output twice")
    flags = tuple([flag for _, flag in asked])
    return names, flags[0] if len(set(flags)) == 1 else flags


def _output(entry: object, position: int, *, all_binary: bool) -> tuple[str, bool]:
    name = entry.get("name") if type(entry) is dict else None
    if type(entry) is not dict or type(name) is not str:
        raise BadRequest(f"outputs[{position}] must be an object with the name of an output, got {shown(entry)}")
    refuse_unknown(entry, _OUTPUT_KEYS, f"output {name!r}")
    parameters = _object(entry.get("parameters"), f"output {name!r}: `parameters`")
    if not parameters:
        return name, all_binary
    where = f"output {name!r}"
    _refuse_shared_memory(parameters, where)
    if "classification" in parameters:
        raise BadRequest(f"{where}: classification is not served; take the values and sort them")
    # The documented rule: the flag of an output overrides the request's. (Triton's code takes a missing one for false.)
    return name, _truth(parameters, "binary_data", where, missing=all_binary)


def _object(value: object, what: str) -> dict[str, object] | None:
    if value is not None and type(value) is not dict:
        raise BadRequest(f"{what} must be an object, got {shown(value)}")
    return value


def _refuse_reserved(parameters: Mapping[str, object], where: str) -> None:
    for key in parameters:
        if key in _SEQUENCE:
            raise BadRequest(f"{where}: parameter {key!r} is not served: models here keep no state between requests")
        if key.startswith("triton_"):
            raise BadRequest(f"{where}: unknown parameter {shown(key)}; names that begin with triton_ are reserved")


def _refuse_shared_memory(parameters: Mapping[str, object], where: str) -> None:
    if any(key.startswith(_SHARED_MEMORY) for key in parameters):
        raise BadRequest(f"{where}: shared memory is not served; send the bytes in the body (binary_data_size)")


def _truth(parameters: Mapping[str, object], key: str, where: str, *, missing: bool = False) -> bool:
    value = parameters.get(key, missing)
    if type(value) is not bool:
        raise BadRequest(f"{where}: parameter {key!r} must be true or false, got {shown(value)}")
    return value


def _timeout(parameters: Mapping[str, object]) -> float | None:
    timeout_us = _whole(parameters, "timeout", _MAX_TIMEOUT_US, "in microseconds")
    return timeout_us / 1_000_000 if timeout_us else None


def _whole(parameters: Mapping[str, object], key: str, most: int, what: str) -> int:
    value = parameters.get(key, 0)
    if type(value) is not int or not 0 <= value <= most:
        raise BadRequest(f"parameter {key!r} must be a whole number of 0 or more ({what}), got {shown(value)}")
    return value
