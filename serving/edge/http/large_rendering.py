"""Large answers in JSON, rendered in steps: a caller's own values, some thousands at a time.

Between two steps of these generators others have their turn (turns.py). Nothing is kept for the other callers of a
batch: their rows are other values.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from math import prod
from typing import TypeVar

import numpy as np
import orjson

from serving.edge.http.answers import Split, predicted, predicted_in_binary
from serving.edge.http.output_texts import (
    NO_JSON,
    facts,
    inexpressible,
    no_form,
    opening,
    positions_of,
    shape_of,
    start_of,
)
from serving.edge.http.request_options import Options
from serving.edge.http.rows import array_of
from serving.inference import ELEMENT_SIZE, Answer, Buffer, Outputs, Tensor

# Of a batch's outputs: more is rendered in steps. 64 KB of float32 take 1 ms.
LARGE_BYTES = 65_536
# Values of one step: 0.8 ms of float32; strings cost ten times as much.
_STEP = 16_384
_STEP_STRINGS = 2_048

Result = TypeVar("Result")
Steps = Generator[None, None, Result]
Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def large(outputs: Outputs) -> bool:
    """Whether rendering a batch at once would take more than about a millisecond."""
    total = 0
    for tensor in outputs.tensors:
        total += len(tensor.data)
        if tensor.datatype == "BYTES":
            total += 32 * prod(tensor.shape)
    return total > LARGE_BYTES


def infer_steps(answer: Answer, options: Options) -> Steps[bytes | Split]:
    """The whole response to an infer request; raises as `rendering.infer_response` does."""
    tensors = answer.outputs.tensors
    positions = positions_of(tensors, options.outputs)
    flags = (options.binary,) * len(positions) if isinstance(options.binary, bool) else options.binary
    json, behind = [start_of(answer.key), options.id_json], list[Buffer]()
    lead = b',"outputs":['
    for position, binary in zip(positions, flags, strict=True):
        tensor = tensors[position]
        shape = shape_of(answer, tensor)
        own = yield from _own(answer, position)
        json.append(lead)
        if binary:
            behind.append(own)
            json.append(facts(tensor.name, tensor.datatype, shape) + b'"parameters":{"binary_data_size":%d}' % len(own))
            lead = b"},"
            continue
        if tensor.datatype in NO_JSON:
            raise no_form(tensor)
        json.append(opening(tensor.name, tensor.datatype, shape))
        flat = (prod(shape),)
        json += yield from _texts(Tensor(tensor.name, tensor.datatype, flat, own), flat)
        lead = b"]},"
    json.append(lead[:-1] + b"]}")
    text = tuple((yield from _joined(json)))
    return predicted_in_binary(answer, text, tuple(behind)) if options.binary else predicted(answer, text)


def predict_steps(answer: Answer, instances: int, headers: bytes, told: bytes = b"") -> Steps[bytes | Split]:
    """The whole response to a V1 request, whose outputs are rows; raises as `rendering.predict_response` does."""
    columns = []
    for position, tensor in enumerate(answer.outputs.tensors):
        shape = shape_of(answer, tensor)
        own = yield from _own(answer, position)
        columns.append((tensor.name, (yield from _by_row(Tensor(tensor.name, tensor.datatype, shape, own)))))
    pieces = [b'{"predictions":[']
    for row in range(instances):
        pieces.append(b"," if row else b"")
        if len(columns) == 1:
            pieces += columns[0][1][row]
            continue
        lead = b"{"
        for name, rows in columns:
            pieces += (lead, orjson.dumps(name), b":", *rows[row])
            lead = b","
        pieces.append(b"}")
    pieces.append(b"]" + told + b"}")
    return predicted(answer, tuple((yield from _joined(pieces))), headers)


def _joined(pieces: list[bytes]) -> Steps[list[bytes]]:
    """The same text in fewer pieces, each of some thousand."""
    joined = []
    for start in range(0, len(pieces), _STEP_STRINGS):
        joined.append(b"".join(pieces[start : start + _STEP_STRINGS]))
        yield
    return joined


def _by_row(tensor: Tensor) -> Steps[list[list[bytes]]]:
    """The pieces of each row."""
    instances, *shape = tensor.shape
    count = prod(shape)
    if not count:
        return [[orjson.dumps(np.empty(shape).tolist())]] * instances
    if not ELEMENT_SIZE[tensor.datatype]:
        cells = yield from _cells(tensor)
        return [_folded(cells[row * count : (row + 1) * count], shape) for row in range(instances)]
    array = array_of(tensor).reshape(tensor.shape)
    if count <= _STEP:
        return (yield from _small_rows(tensor, array))
    rows = []
    for row in range(instances):
        pieces = yield from _texts(tensor, shape, array[row])
        rows.append([b"[", *pieces, b"]"])
    return rows


def _small_rows(tensor: Tensor, array: Array) -> Steps[list[list[bytes]]]:
    rows: list[list[bytes]] = []
    depth = array.ndim - 1
    most = max(1, _STEP // prod(array.shape[1:]))
    for start in range(0, array.shape[0], most):
        text = _dumped(tensor, array[start : start + most])
        inner = text[depth + 1 : len(text) - depth - 1].split(b"]" * depth + b"," + b"[" * depth)
        rows += [[b"[" * depth + row + b"]" * depth] for row in inner]
        yield
    return rows


def _texts(tensor: Tensor, shape: Sequence[int], array: Array | None = None) -> Steps[list[bytes]]:
    """The values of `shape` as JSON without the outermost brackets, in pieces that follow one another."""
    if not prod(shape):
        return []
    if array is None and not ELEMENT_SIZE[tensor.datatype]:
        return (yield from _string_texts(tensor))
    values = array_of(tensor).reshape(shape) if array is None else array
    width = prod(values.shape[1:])
    pieces: list[bytes] = []
    if width > _STEP:
        for block in values:
            inner = yield from _texts(tensor, block.shape, block)
            pieces += (b",[" if pieces else b"[", *inner, b"]")
        return pieces
    most = max(1, _STEP // width)
    for start in range(0, values.shape[0], most):
        text = _dumped(tensor, values[start : start + most])[1:-1]
        pieces.append(b"," + text if start else text)
        yield
    return pieces


def _dumped(tensor: Tensor, array: Array) -> bytes:
    text = orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)
    # NaN and infinity become null, the only word with this letter.
    if b"u" in text and b"null" in text:
        raise inexpressible(tensor)
    return text


def _string_texts(tensor: Tensor) -> Steps[list[bytes]]:
    """As `_texts`, of strings: a step's cells are joined at once, since a million of them take long to be let go."""
    pieces: list[bytes] = []
    cells: list[bytes] = []
    for cell in _each_cell(tensor):
        cells.append(cell)
        if len(cells) == _STEP_STRINGS:
            pieces.append((b"," if pieces else b"") + b",".join(cells))
            cells = []
            yield
    if cells:
        pieces.append((b"," if pieces else b"") + b",".join(cells))
    return pieces


def _cells(tensor: Tensor) -> Steps[list[bytes]]:
    """Each string of a BYTES tensor as JSON."""
    cells: list[bytes] = []
    for cell in _each_cell(tensor):
        cells.append(cell)
        if len(cells) % _STEP_STRINGS == 0:
            yield
    return cells


def _each_cell(tensor: Tensor) -> Iterator[bytes]:
    data, position = tensor.data, 0
    for _ in range(prod(tensor.shape)):
        start = position + 4
        position = start + int.from_bytes(data[position:start], "little")
        try:
            yield orjson.dumps(str(data[start:position], "utf-8"))
        except UnicodeDecodeError:
            raise inexpressible(tensor) from None


def _folded(cells: list[bytes], shape: Sequence[int]) -> list[bytes]:
    for size in reversed(shape):
        cells = [b"[" + b",".join(cells[i : i + size]) + b"]" for i in range(0, len(cells), size)]
    return cells


def _own(answer: Answer, position: int) -> Steps[Buffer]:
    """The caller's rows of an output."""
    tensor = answer.outputs.tensors[position]
    if answer.whole or answer.stop - answer.start == tensor.shape[0]:
        return tensor.data
    if ELEMENT_SIZE[tensor.datatype]:
        return tensor.rows(answer.start, answer.stop)
    width = prod(tensor.shape[1:])
    places = []
    place = 0
    for index in range(answer.stop * width + 1):
        if index in (answer.start * width, answer.stop * width):
            places.append(place)
        if index < answer.stop * width:
            place += 4 + int.from_bytes(tensor.data[place : place + 4], "little")
        if index % _STEP_STRINGS == _STEP_STRINGS - 1:
            yield
    return memoryview(tensor.data)[places[0] : places[-1]]
