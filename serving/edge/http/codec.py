"""Open Inference Protocol v2: the body of an infer request to tensors (answers: see rendering.py).

A body is JSON, or JSON with the elements of some inputs behind it (binary_body.py); this file reads the JSON of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from serving.edge.http.elements import flat, may_have_booleans
from serving.edge.http.limits import HttpLimits
from serving.edge.http.request_options import Options, binary_size, options_of, refuse_unknown
from serving.edge.typed_elements import pack, shown
from serving.errors import BadRequest
from serving.inference import Tensor

_INPUT_KEYS = frozenset(("name", "shape", "datatype", "parameters", "data"))
_INPUT_FIELDS = 4
# The tensor stream counts a dimension in 32 bits.
_LONGEST = 2**31 - 1
_DEFAULTS = HttpLimits()
NO_OPTIONS = Options()


@dataclass(slots=True, init=False)
class Asked:
    """An infer request's body: tensors in the caller's order, and what is said beside them.

    `unchecked` are those with so many or so long strings that they are still to be looked at, in steps.
    """

    inputs: list[Tensor]
    options: Options
    unchecked: tuple[tuple[Tensor, int], ...]

    def __init__(self, inputs: list[Tensor], options: Options, unchecked: tuple[tuple[Tensor, int], ...] = ()) -> None:
        self.inputs = inputs
        self.options = options
        self.unchecked = unchecked


def parse(body: bytes | memoryview) -> dict[str, object]:
    """The JSON object in `body`.

    Raises:
        BadRequest: says where the document stops being JSON, and what JSON lacks (NaN, infinity).
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_json(bytes(body), error) from None
    if type(document) is not dict:
        raise BadRequest(f"the body must be a JSON object, got {shown(document)}")
    return document


def decode(body: bytes, limits: HttpLimits = _DEFAULTS) -> Asked:
    """Tensors of an infer request; counts, nesting and ranges are checked here, names and shapes by the model's side.

    Raises:
        BadRequest: names the field and what would be right.
    """
    document = parse(body)
    inputs = document.get("inputs")
    booleans = may_have_booleans(body)
    if type(inputs) is list and len(inputs) == 1:
        tensors = [json_tensor(inputs[0], 0, booleans, limits)]
    else:
        given = enumerate(listed_inputs(document, limits))
        tensors = [json_tensor(entry, position, booleans, limits) for position, entry in given]
        refuse_twins([tensor.name for tensor in tensors])
    if len(document) == 1:
        return Asked(tensors, NO_OPTIONS)
    return Asked(tensors, options_of(document, limits.max_tensors))


def listed_inputs(document: Mapping[str, object], limits: HttpLimits) -> list[object]:
    """The inputs of a request as they are, at least one.

    Raises:
        BadRequest: there are none, or too many.
    """
    inputs = document.get("inputs")
    if type(inputs) is not list or not inputs:
        raise _inputs_wanted(document)
    if len(inputs) > limits.max_tensors:
        raise BadRequest(
            f"the request has {len(inputs)} inputs; at most {limits.max_tensors} are taken (http.max_tensors)"
        )
    return inputs


def json_tensor(  # noqa: C901 - in one piece, since calls cost 0.1 us each
    entry: object,
    position: int,
    booleans: bool,  # noqa: FBT001 - a keyword costs 0.1 us
    limits: HttpLimits,
) -> Tensor:
    """One input whose values are JSON.

    Raises:
        BadRequest: names the input and what would be right.
    """
    if type(entry) is not dict:
        raise _no_object(entry, position)
    try:
        name, datatype, shape, data = entry["name"], entry["datatype"], entry["shape"], entry["data"]
    except KeyError as missing:
        raise field_missing(entry, position, str(missing.args[0])) from None
    if type(name) is not str or type(datatype) is not str:
        raise BadRequest(f"inputs[{position}]: `name` and `datatype` must be strings")
    if len(entry) > _INPUT_FIELDS:
        data = _with_odd_fields(entry, name)
    # What `counted` does, in place: a call costs 0.1 us.
    count = 1
    if type(shape) is list and len(shape) <= limits.max_rank:
        for size in shape:
            if type(size) is not int or not 0 <= size <= _LONGEST:
                break
            count *= size
        else:
            shape = tuple(shape)
    if type(shape) is not tuple or count > limits.max_elements:
        counted(name, shape, limits)
    if type(data) is not list or len(data) != count or (count and type(data[0]) is list):
        data = flat(name, data, shape)
    if datatype == "BYTES":
        refuse_long_strings(name, data, limits)
    return Tensor(name, datatype, shape, pack(name, datatype, data, booleans))


def facts(entry: object, position: int) -> tuple[str, str, list[int], dict[str, object]]:
    """Name, datatype and shape of an input whose values are not JSON, and the whole entry.

    Raises:
        BadRequest: one of them is missing or of another type.
    """
    if type(entry) is not dict:
        raise _no_object(entry, position)
    try:
        name, datatype, shape = entry["name"], entry["datatype"], entry["shape"]
    except KeyError as missing:
        raise field_missing(entry, position, str(missing.args[0])) from None
    if type(name) is not str or type(datatype) is not str:
        raise BadRequest(f"inputs[{position}]: `name` and `datatype` must be strings")
    refuse_unknown(entry, _INPUT_KEYS, f"input {name!r}")
    return name, datatype, shape, entry


def counted(name: str, shape: Sequence[int], limits: HttpLimits) -> int:
    """How many elements a tensor of `shape` has.

    Raises:
        BadRequest: it is no shape, or one with too many dimensions or elements.
    """
    if not isinstance(shape, list | tuple) or len(shape) > limits.max_rank:
        raise BadRequest(
            f"input {name!r}: `shape` must be an array of at most {limits.max_rank} integers (http.max_rank)"
        )
    count = 1
    for size in shape:
        if type(size) is not int or not 0 <= size <= _LONGEST:
            raise BadRequest(f"input {name!r}: `shape` holds integers from 0 to {_LONGEST}, got {shown(size)}")
        count *= size
    if count > limits.max_elements:
        raise BadRequest(
            f"input {name!r}: shape {list(shape)} has {count} elements; a tensor may have {limits.max_elements} "
            "(http.max_elements)"
        )
    return count


def refuse_twins(names: list[str]) -> None:
    """Raise BadRequest where two inputs have one name."""
    if len(set(names)) != len(names):
        twin = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"input {twin!r} is given twice")


def field_missing(entry: Mapping[str, object], position: int, field: str) -> BadRequest:
    """The refusal of an input without `field`."""
    if field == "data" and binary_size(entry, str(entry.get("name"))) is not None:
        return BadRequest(
            f"inputs[{position}]: `binary_data_size` needs the header Inference-Header-Content-Length, "
            "which tells where the JSON ends and the bytes begin; or send `data` as JSON"
        )
    return BadRequest(f"inputs[{position}]: `{field}` is missing; a tensor has name, shape, datatype and data")


def _with_odd_fields(entry: Mapping[str, object], name: str) -> object:
    """The `data` of an input that has more fields than it needs."""
    refuse_unknown(entry, _INPUT_KEYS, f"input {name!r}")
    data = entry["data"]
    size = binary_size(entry, name)
    if size == 0 and data is None:
        # KServe's client writes a binary tensor without elements so.
        return []
    if size is not None:
        raise BadRequest(f"input {name!r} has both `data` and `binary_data_size`; send one of them")
    return data


def refuse_long_strings(name: str, values: Sequence[object], limits: HttpLimits) -> None:
    """Raise BadRequest where a BYTES tensor has too many elements, or one that is too long."""
    if len(values) > limits.max_strings:
        raise too_many_strings(name, len(values), limits)
    longest = limits.max_string_bytes
    for index, value in enumerate(values):
        # A character takes at most four bytes; what is no text is refused when it is packed.
        if isinstance(value, str) and len(value) * 4 > longest and len(value.encode()) > longest:
            raise BadRequest(
                f"input {name!r}: value {index} has {len(value.encode())} bytes; a BYTES element may have {longest} "
                "(http.max_string_bytes)"
            )


def too_many_strings(name: str, count: int, limits: HttpLimits) -> BadRequest:
    """The refusal of a BYTES tensor with too many elements."""
    return BadRequest(
        f"input {name!r} has {count} BYTES elements; a tensor may have {limits.max_strings} (http.max_strings)"
    )


def _no_object(entry: object, position: int) -> BadRequest:
    return BadRequest(f"inputs[{position}] must be an object with name, shape, datatype and data, got {shown(entry)}")


def _inputs_wanted(document: Mapping[str, object]) -> BadRequest:
    if "instances" in document:
        return BadRequest("`inputs` is missing; `instances` belong to POST /v1/models/{model}:predict")
    if "inputs" not in document:
        return BadRequest(f"`inputs` is missing: an array of tensors; the body has {_names(document)}")
    return BadRequest("`inputs` must be an array of at least one tensor")


def _names(document: Mapping[str, object]) -> str:
    return ", ".join(shown(key) for key in list(document)[:8]) or "no fields"


def _not_json(body: bytes, error: orjson.JSONDecodeError) -> BadRequest:
    if not body:
        return BadRequest("the body is empty; send a JSON object")
    text = str(error)
    near = body[max(0, error.pos - 16) : error.pos + 16]
    endless = text.startswith("number is infinity") or any(
        word in near for word in (b"NaN", b"Infinity", b"nan", b"inf")
    )
    hint = "; JSON has no NaN and no infinity: send the tensor in binary (binary_data_size)" if endless else ""
    return BadRequest(f"the body is not JSON: {text}{hint}")
