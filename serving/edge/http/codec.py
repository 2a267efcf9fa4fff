"""Open Inference Protocol v2 in JSON: the body of an infer request to tensors (answers: see rendering.py).

The binary tensor extension sends the same document with some `data` replaced by `parameters.binary_data_size`: it adds
one branch where an input is decoded, and one where an output is rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from serving.edge.http.elements import flat, may_have_booleans, pack, shown
from serving.errors import BadRequest
from serving.inference import Tensor

_REQUEST_KEYS = frozenset(("id", "parameters", "inputs", "outputs", "model_name", "model_version"))
_INPUT_KEYS = frozenset(("name", "shape", "datatype", "parameters", "data"))
_INPUT_FIELDS = 4
_MAX_RANK = 32
_ENDLESS = (b"NaN", b"Infinity", b"nan", b"inf")
_MAX_ID = 4096


class Asked(NamedTuple):
    """An infer request's body: tensors in the caller's order, its id as JSON, and the outputs wanted (None: all)."""

    inputs: list[Tensor]
    id_json: bytes
    outputs: tuple[str, ...] | None


def parse(body: bytes) -> dict[str, object]:
    """The JSON object in `body`.

    Raises:
        BadRequest: says where the document stops being JSON, and what JSON lacks (NaN, infinity).
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_json(body, error) from None
    if type(document) is not dict:
        raise BadRequest(f"the body must be a JSON object, got {shown(document)}")
    return document


def decode(body: bytes) -> Asked:
    """Tensors of an infer request; counts, nesting and ranges are checked here, names and shapes by the model's side.

    Raises:
        BadRequest: names the field and what would be right.
    """
    document = parse(body)
    inputs = document.get("inputs")
    if type(inputs) is not list or not inputs:
        raise _inputs_wanted(document)
    booleans = may_have_booleans(body)
    if len(inputs) == 1:
        tensors = [_tensor(inputs[0], 0, booleans)]
    else:
        tensors = [_tensor(entry, position, booleans) for position, entry in enumerate(inputs)]
        _refuse_twins(tensors)
    if len(document) == 1:
        return Asked(tensors, b'""', None)
    return _with_options(document, tensors)


def _tensor(entry: object, position: int, booleans: bool) -> Tensor:  # noqa: FBT001 - a keyword costs 0.1 us here
    if type(entry) is not dict:
        raise BadRequest(
            f"inputs[{position}] must be an object with name, shape, datatype and data, got {shown(entry)}"
        )
    try:
        name, datatype, shape, data = entry["name"], entry["datatype"], entry["shape"], entry["data"]
    except KeyError as missing:
        raise _field_missing(entry, position, str(missing.args[0])) from None
    if type(name) is not str or type(datatype) is not str:
        raise BadRequest(f"inputs[{position}]: `name` and `datatype` must be strings")
    if len(entry) > _INPUT_FIELDS:
        _refuse_unknown(entry, _INPUT_KEYS, f"input {name!r}")
    if type(shape) is not list or len(shape) > _MAX_RANK:
        raise BadRequest(f"input {name!r}: `shape` must be an array of at most {_MAX_RANK} integers")
    count = 1
    for size in shape:
        if type(size) is not int or size < 0:
            raise BadRequest(f"input {name!r}: `shape` holds integers of 0 or more, got {shown(size)}")
        count *= size
    if type(data) is not list or len(data) != count or (count and type(data[0]) is list):
        data = flat(name, data, shape)
    return Tensor(name, datatype, tuple(shape), pack(name, datatype, data, booleans))


def _with_options(document: Mapping[str, object], tensors: list[Tensor]) -> Asked:
    _refuse_unknown(document, _REQUEST_KEYS, "the request")
    identity = document.get("id", "")
    if type(identity) is not str or len(identity) > _MAX_ID:
        raise BadRequest(f"`id` must be a string of at most {_MAX_ID} characters, got {shown(identity)}")
    if type(document.get("parameters", {})) is not dict:
        raise BadRequest("`parameters` must be an object")
    wanted = document.get("outputs")
    outputs = None if wanted is None else _output_names(wanted)
    return Asked(tensors, orjson.dumps(identity), outputs)


def _output_names(wanted: object) -> tuple[str, ...] | None:
    if type(wanted) is not list:
        raise BadRequest(f"`outputs` must be an array of objects with a name, got {shown(wanted)}")
    names = []
    for position, entry in enumerate(wanted):
        name = entry.get("name") if type(entry) is dict else None
        if type(name) is not str:
            raise BadRequest(f"outputs[{position}] must be an object with the name of an output, got {shown(entry)}")
        names.append(name)
    if len(set(names)) != len(names):
        raise BadRequest("`outputs` names an output twice")
    return tuple(names) or None


def _refuse_twins(tensors: list[Tensor]) -> None:
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        twin = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"input {twin!r} is given twice")


def _refuse_unknown(entry: Mapping[str, object], known: frozenset[str], where: str) -> None:
    for key in entry:
        if key not in known:
            raise BadRequest(f"{where}: unknown field {shown(key)}; known are {', '.join(sorted(known))}")


def _inputs_wanted(document: Mapping[str, object]) -> BadRequest:
    if "instances" in document:
        return BadRequest("`inputs` is missing; `instances` belong to POST /v1/models/{model}:predict")
    if "inputs" not in document:
        return BadRequest(f"`inputs` is missing: an array of tensors; the body has {_names(document)}")
    return BadRequest("`inputs` must be an array of at least one tensor")


def _names(document: Mapping[str, object]) -> str:
    return ", ".join(shown(key) for key in list(document)[:8]) or "no fields"


def _field_missing(entry: Mapping[str, object], position: int, field: str) -> BadRequest:
    parameters = entry.get("parameters")
    if field == "data" and type(parameters) is dict and "binary_data_size" in parameters:
        return BadRequest(f"inputs[{position}]: binary tensor data is not supported here; send `data` as JSON")
    return BadRequest(f"inputs[{position}]: `{field}` is missing; a tensor has name, shape, datatype and data")


def _not_json(body: bytes, error: orjson.JSONDecodeError) -> BadRequest:
    if not body:
        return BadRequest("the body is empty; send a JSON object")
    text = str(error)
    near = body[max(0, error.pos - 16) : error.pos + 16]
    endless = text.startswith("number is infinity") or any(
        word in near for word in (b"NaN", b"Infinity", b"nan", b"inf")
    )
    hint = "; JSON has no NaN and no infinity" if endless else ""
    return BadRequest(f"the body is not JSON: {text}{hint}")
