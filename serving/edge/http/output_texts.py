"""The JSON of an infer answer's outputs, one by one: its opening, and a caller's own values of a batch."""

from __future__ import annotations

import orjson

from serving.edge.http.rows import Rows, flat_rows
from serving.errors import BadRequest
from serving.inference import Answer, Tensor, VersionKey

# JSON numbers of 16 bits would be read as other numbers than the model gave; clients of the protocol expect bytes.
NO_JSON = frozenset(("FP16", "BF16"))
_IN_BINARY = 'POST /v2/models/{model}/infer gives it in binary, with `parameters`: {"binary_data_output": true}'


def start_of(key: VersionKey) -> bytes:
    """An answer's document up to its id."""
    return b'{"model_name":%b,"model_version":"%d","id":' % (orjson.dumps(key.model), key.version)


def opening(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """An output up to its values."""
    return b'%b"data":[' % facts(name, datatype, shape)


def facts(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """An output up to where its values, or the number of their bytes, come."""
    dimensions = ",".join(map(str, shape)).encode()
    return b'{"name":%b,"shape":[%b],"datatype":"%b",' % (orjson.dumps(name), dimensions, datatype.encode())


def positions_of(tensors: tuple[Tensor, ...], wanted: tuple[str, ...] | None) -> list[int]:
    """Where the wanted outputs stand among the model's, in the order asked for.

    Raises:
        BadRequest: the model has no such output.
    """
    if wanted is None:
        return list(range(len(tensors)))
    known = {tensor.name: position for position, tensor in enumerate(tensors)}
    for name in wanted:
        if name not in known:
            raise BadRequest(f"unknown output {name!r}; the model has {', '.join(known)}")
    return [known[name] for name in wanted]


def shape_of(answer: Answer, tensor: Tensor) -> tuple[int, ...]:
    """The shape of what the caller gets of an output."""
    return tensor.shape if answer.whole else (answer.stop - answer.start, *tensor.shape[1:])


def in_json(answer: Answer, position: int) -> tuple[bytes, bytes]:
    """An output in JSON, up to the end of its values: its opening, and the values.

    Raises:
        BadRequest: its datatype has no form in JSON, or it holds what JSON cannot express.
    """
    tensor = answer.outputs.tensors[position]
    if tensor.datatype in NO_JSON:
        raise no_form(tensor)
    start = opening(tensor.name, tensor.datatype, shape_of(answer, tensor))
    if answer.whole:
        whole = flat_rows(Tensor(tensor.name, tensor.datatype, (1, *tensor.shape), tensor.data))
        if whole.bad:
            raise inexpressible(tensor)
        return start, whole.texts[0]
    if not tensor.data:
        # Rows without values have no commas between them either.
        return start, b""
    column = column_of(answer, position)
    if column.bad and not column.bad.isdisjoint(range(answer.start, answer.stop)):
        raise inexpressible(tensor)
    return start, b",".join(column.texts[answer.start : answer.stop])


def column_of(answer: Answer, position: int) -> Rows:
    """The texts of all rows of a batch's output, made once for all its callers."""
    rendered = answer.outputs.rendered
    column = rendered.get(position)
    if not isinstance(column, Rows):
        column = rendered[position] = flat_rows(answer.outputs.tensors[position])
    return column


def no_form(tensor: Tensor) -> BadRequest:
    """The refusal of a datatype that JSON has not."""
    return BadRequest(f"output {tensor.name!r} is {tensor.datatype}, which has no form in JSON; {_IN_BINARY}")


def inexpressible(tensor: Tensor) -> BadRequest:
    """The refusal of values that the model gave and JSON cannot express: who asks for bytes gets them."""
    if tensor.datatype == "BYTES":
        return BadRequest(
            f"output {tensor.name!r} holds bytes that are no UTF-8, which JSON cannot express; {_IN_BINARY}"
        )
    return BadRequest(f"output {tensor.name!r} holds NaN or infinity, and JSON has neither; {_IN_BINARY}")
