"""Rows of a block to bodies of requests: binary tensors, or instances where the gateway looks entities up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa

from serving.bulk.column_fit import ColumnFit, FittedInput
from serving.bulk.model_form import FieldForm
from serving.bulk.values import DTYPES, Array, Bad, lists, numbers, shown, texts
from serving.errors import BadRequest

_LENGTH = Struct("<I")
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: a JSON document and, behind it, the elements of its tensors."""

    headers: Mapping[str, str]
    parts: Sequence[bytes | memoryview]

    @property
    def size(self) -> int:
        """Bytes of it all."""
        return sum(map(len, self.parts))


class Encoded(Protocol):
    """A block's rows ready to be sent; `bad` are rows that cannot be, with the reason."""

    bad: Bad

    def body(self, rows: Sequence[int]) -> Body:
        """The request for these rows, which are good and in order."""


def encode(fit: ColumnFit, batch: pa.RecordBatch) -> Encoded:
    """Look at every value that will be sent."""
    return _tensors(fit.inputs, batch) if fit.inputs else _instances(fit, batch)


@dataclass(slots=True)
class TensorRows:
    """Rows as arrays, one for each input, sent in binary; `alone` leaves the dimension of rows out."""

    inputs: Sequence[FittedInput]
    arrays: Sequence[Array | list[list[bytes]]]
    bad: Bad = field(default_factory=dict)

    def body(self, rows: Sequence[int]) -> Body:
        """Slices of the arrays, without a copy where the rows follow one another."""
        described, parts = [], []
        for one, array in zip(self.inputs, self.arrays, strict=True):
            data = _elements(array, rows)
            shape = _shape(one, array, len(rows))
            described.append(
                {
                    "name": one.tensor.name,
                    "datatype": one.tensor.datatype,
                    "shape": shape,
                    "parameters": {"binary_data_size": len(data)},
                }
            )
            parts.append(data)
        document = orjson.dumps({"inputs": described, "parameters": {"binary_data_output": True}})
        headers = {
            "content-type": "application/octet-stream",
            "inference-header-content-length": str(len(document)),
        }
        return Body(headers, (document, *parts))


@dataclass(slots=True)
class InstanceRows:
    """Rows as the fields of `:predict`."""

    instances: Sequence[Mapping[str, Any]]
    bad: Bad = field(default_factory=dict)

    def body(self, rows: Sequence[int]) -> Body:
        """The instances of these rows."""
        return Body(_JSON, (orjson.dumps({"instances": [self.instances[row] for row in rows]}),))


def _elements(array: Array | list[list[bytes]], rows: Sequence[int]) -> bytes | memoryview:
    if isinstance(array, list):
        return b"".join(_LENGTH.pack(len(text)) + text for row in rows for text in array[row])
    first, last = rows[0], rows[-1] + 1
    chosen = array[first:last] if last - first == len(rows) else array[list(rows)]
    return np.ascontiguousarray(chosen).data.cast("B")


def _shape(one: FittedInput, array: Array | list[list[bytes]], rows: int) -> list[int]:
    shape = one.tensor.shape
    if not shape:
        return []
    if one.tensor.width:
        return [rows, *shape[1:]]
    width = len(array[0]) if isinstance(array, list) else array.shape[1]
    return [rows, *(width if size < 0 else size for size in shape[1:])]


def _tensors(inputs: Sequence[FittedInput], batch: pa.RecordBatch) -> TensorRows:
    bad: Bad = {}
    arrays = [_array(one, batch, bad) for one in inputs]
    return TensorRows(inputs, arrays, bad)


def _array(one: FittedInput, batch: pa.RecordBatch, bad: Bad) -> Array | list[list[bytes]]:
    tensor = one.tensor
    if tensor.datatype not in DTYPES and tensor.datatype != "BYTES":
        raise BadRequest(f"input {tensor.name!r} is {tensor.datatype}, which no column of a file holds")
    columns = [batch.column(name) for name in one.columns]
    if len(columns) == 1 and _holds_lists(columns[0]):
        return _of_lists(one, columns[0], batch.num_rows, bad)
    if tensor.datatype == "BYTES":
        found = [texts(name, column) for name, column in zip(one.columns, columns, strict=True)]
        for _, wrong in found:
            bad.update(wrong)
        return [list(row) for row in zip(*(column for column, _ in found), strict=True)]
    made = np.empty((batch.num_rows, len(columns)), DTYPES[tensor.datatype])
    for place, (name, column) in enumerate(zip(one.columns, columns, strict=True)):
        made[:, place], wrong = numbers(name, column, tensor.datatype)
        bad.update(wrong)
    return made


def _of_lists(one: FittedInput, column: pa.Array, rows: int, bad: Bad) -> Array | list[list[bytes]]:
    name, tensor = one.columns[0], one.tensor
    # Where the model leaves the width open, the first row of a block decides: a request has one shape.
    width = tensor.width or next((len(row) for row in column.to_pylist() if row is not None), 0)
    flat, wrong = lists(name, column, width)
    bad.update(wrong)
    if tensor.datatype == "BYTES":
        values, empty = texts(name, flat)
        bad.update({place // width: why for place, why in empty.items() if place // width not in bad})
        return [values[row * width : (row + 1) * width] for row in range(rows)]
    cells, unfit = numbers(name, flat, tensor.datatype)
    bad.update({place // width: why for place, why in unfit.items() if place // width not in bad})
    return cells.reshape(rows, width)


def _holds_lists(column: pa.Array) -> bool:
    kind = column.type
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _instances(fit: ColumnFit, batch: pa.RecordBatch) -> InstanceRows:
    bad: Bad = {}
    columns: dict[str, Sequence[object]] = {one.name: _field(one, batch, bad) for one in fit.fields}
    # After the fields: what is an id as well is sent as an id.
    columns |= {name: _ids(name, batch.column(name), bad) for name in fit.ids}
    names = tuple(columns)
    return InstanceRows([dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)], bad)


def _ids(name: str, column: pa.Array, bad: Bad) -> Sequence[object]:
    found: list[object] = column.to_pylist()
    for row, cell in enumerate(found):
        if cell is None:
            bad[row] = f"column {name!r} is empty"
        elif type(cell) is float and cell.is_integer():
            # Whole numbers with gaps among them, as pandas writes them.
            found[row] = int(cell)
        elif type(cell) not in (str, int):
            bad[row] = f"column {name!r} must be text or a whole number, got {shown(cell)}"
    return found


def _field(one: FieldForm, batch: pa.RecordBatch, bad: Bad) -> Sequence[object]:
    column = batch.column(one.name)
    empty = {row for row, given in enumerate(column.is_valid().to_pylist()) if not given}
    # JSON knows no NaN: it stands for a missing value.
    values, wrong = numbers(one.name, column, one.datatype)
    cells: list[object] = values.tolist()
    if values.dtype.kind == "f":
        empty |= set(np.flatnonzero(~np.isfinite(values)).tolist())
    for row in empty:
        cells[row] = None
    bad.update({row: why for row, why in wrong.items() if row not in empty})
    if one.required:
        bad.update({row: f"column {one.name!r} is empty" for row in empty if row not in bad})
    return cells
