"""V1 predictions: `{"instances": [...]}` by input names to tensors whose dimension 0 counts instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod

from serving.edge.http.codec import parse, refuse_long_strings
from serving.edge.http.elements import may_have_booleans
from serving.edge.http.limits import HttpLimits
from serving.edge.typed_elements import pack, shown
from serving.errors import BadRequest
from serving.features.entity_rows import EntityRows
from serving.features.explanation import STATUS, VALUES, wants_of
from serving.features.plan import ReadPlan
from serving.inference import Signature, Tensor, TensorSpec

# Other servers of this protocol take a name of a signature; there is one signature here.
_REQUEST_KEYS = frozenset(("instances", "signature_name", "parameters", "id"))
_MAX_DEPTH = 32
_NAMES_SHOWN = 20
_DEFAULTS = HttpLimits()


def decode(body: bytes, signature: Signature, limits: HttpLimits = _DEFAULTS) -> tuple[list[Tensor], int]:
    """Tensors in the signature's order, and how many instances there are.

    Raises:
        BadRequest: names the instance and the field, and what is known.
    """
    rows = listed(body)
    booleans = may_have_booleans(body)
    specs = signature.inputs
    columns = _bare(rows, specs) if type(rows[0]) is not dict else _named(rows, specs)
    tensors = [_tensor(spec, column, booleans, limits) for spec, column in zip(specs, columns, strict=True)]
    return tensors, len(rows)


def entities(body: bytes, plan: ReadPlan) -> EntityRows:
    """The instances of a request as a plan reads them, and what it asks to be told of them.

    Raises:
        BadRequest: as `decode` does; or more is to be told than can be.
    """
    document = parse(body)
    rows = plan.read(_listed(document))
    if len(document) > 1:
        given = document.get("id")
        rows.request_id = given if isinstance(given, str) else None
        rows.wants = wants_of(document.get("parameters"))
        if rows.wants is not None:
            plan.explanation.check(rows.count)
    return rows


def listed(body: bytes) -> list[object]:
    """The instances of a request for a model of tensors as they are, at least one.

    Raises:
        BadRequest: no JSON, no instances, or a field beside them that is not known.
    """
    document = parse(body)
    rows = _listed(document)
    if len(document) > 1 and wants_of(document.get("parameters")) is not None:
        raise BadRequest(
            f"{STATUS} and {VALUES} are for models whose inputs are made of features; this one takes tensors"
        )
    return rows


def _listed(document: Mapping[str, object]) -> list[object]:
    rows = document.get("instances")
    if type(rows) is not list or not rows:
        raise _instances_wanted(document)
    for key in document:
        if key not in _REQUEST_KEYS:
            raise BadRequest(f"unknown field {shown(key)}; send `instances`")
    return rows


def _named(rows: list[object], specs: Sequence[TensorSpec]) -> list[list[object]]:
    columns: list[list[object]] = [[] for _ in specs]
    named = [(spec.name, column) for spec, column in zip(specs, columns, strict=True)]
    for position, row in enumerate(rows):
        if type(row) is not dict:
            raise BadRequest(f"instances[{position}] must be an object with {_names(specs)}, got {shown(row)}")
        try:
            for name, column in named:
                column.append(row[name])
        except KeyError as missing:
            raise BadRequest(
                f"instances[{position}]: field {missing.args[0]!r} is missing; the model needs {_names(specs)}"
            ) from None
        if len(row) > len(specs):
            _refuse_unknown(row, position, specs)
    return columns


def _bare(rows: list[object], specs: Sequence[TensorSpec]) -> list[list[object]]:
    if len(specs) != 1:
        raise BadRequest(f"instances must be objects: the model has {len(specs)} inputs, {_names(specs)}")
    for position, row in enumerate(rows):
        if type(row) is dict:
            raise BadRequest(f"instances[{position}] is an object, but instances[0] is not; send all in one form")
    return [rows]


def _tensor(spec: TensorSpec, column: list[object], booleans: bool, limits: HttpLimits) -> Tensor:  # noqa: FBT001
    if not spec.shape:
        if len(column) > 1:
            raise BadRequest(f"field {spec.name!r} has no rows in this model: send one instance at a time")
        return Tensor(spec.name, spec.datatype, (), _packed(spec, column, booleans, limits))
    trailing = spec.shape[1:]
    if -1 in trailing:
        trailing = _seen_shape(spec, column[0])
    width = prod(trailing)
    if width == 1 and list not in map(type, column):
        # Named features, the commonest case: one bare value of each instance.
        data = _packed(spec, column, booleans, limits)
        return Tensor(spec.name, spec.datatype, (len(column), *trailing), data)
    values: list[object] = []
    for position, value in enumerate(column):
        values += _cells(spec, value, trailing, width) if type(value) is list else _single(spec, value, position, width)
    data = _packed(spec, values, booleans, limits)
    return Tensor(spec.name, spec.datatype, (len(column), *trailing), data)


def _packed(spec: TensorSpec, values: list[object], booleans: bool, limits: HttpLimits) -> bytes:  # noqa: FBT001
    if spec.datatype == "BYTES":
        refuse_long_strings(spec.name, values, limits)
    return pack(spec.name, spec.datatype, values, booleans)


def _single(spec: TensorSpec, value: object, position: int, width: int) -> tuple[object]:
    # An input of shape [-1, 1] takes a bare value as well as a list of one.
    if width != 1:
        wanted = f"an array of {width} values (shape {list(spec.trailing)})"
        raise BadRequest(f"instances[{position}]: field {spec.name!r} must be {wanted}, got {shown(value)}")
    return (value,)


def _cells(spec: TensorSpec, value: list[object], trailing: tuple[int, ...], width: int) -> list[object]:
    """The values of one instance's field, given flat or nested as the input's shape says."""
    nested = bool(value) and type(value[0]) is list
    if not nested:
        if len(value) != width or not trailing:
            raise _wrong_size(spec, trailing)
        return value
    if not trailing or len(value) != trailing[0]:
        raise _wrong_size(spec, trailing)
    for size in trailing[1:]:
        for inner in value:
            if type(inner) is not list or len(inner) != size:
                raise _wrong_size(spec, trailing)
        value = list(chain.from_iterable(value))  # type: ignore[arg-type]
    return value


def _seen_shape(spec: TensorSpec, value: object) -> tuple[int, ...]:
    """The shape of the first instance's value, where the model leaves dimensions open."""
    shape: list[int] = []
    while type(value) is list and len(shape) < _MAX_DEPTH:
        shape.append(len(value))
        value = value[0] if value else None
    wanted = spec.trailing
    if len(shape) != len(wanted) or any(w not in (-1, s) for w, s in zip(wanted, shape, strict=True)):
        raise BadRequest(f"field {spec.name!r} must have shape {list(wanted)} (-1 is any size), got shape {shape}")
    return tuple(shape)


def _wrong_size(spec: TensorSpec, trailing: tuple[int, ...]) -> BadRequest:
    if not trailing:
        return BadRequest(f"field {spec.name!r} must be a single value, not an array")
    return BadRequest(f"field {spec.name!r} must have shape {list(trailing)} in every instance, flat or nested")


def _refuse_unknown(row: Mapping[str, object], position: int, specs: Sequence[TensorSpec]) -> None:
    known = {spec.name for spec in specs}
    unknown = next(name for name in row if name not in known)
    raise BadRequest(f"instances[{position}]: unknown field {shown(unknown)}; the model has {_names(specs)}")


def _instances_wanted(document: Mapping[str, object]) -> BadRequest:
    if "instances" in document:
        return BadRequest("`instances` must be an array of at least one instance")
    if "inputs" in document:
        return BadRequest("`instances` is missing; `inputs` belong to POST /v2/models/{model}/infer")
    return BadRequest('`instances` is missing; send {"instances": [{"<input name>": value, ...}]}')


def _names(specs: Sequence[TensorSpec]) -> str:
    names = [spec.name for spec in specs]
    shown_names = ", ".join(names[:_NAMES_SHOWN])
    return shown_names if len(names) <= _NAMES_SHOWN else f"{shown_names} and {len(names) - _NAMES_SHOWN} more"
