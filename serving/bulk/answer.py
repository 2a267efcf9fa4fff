"""Answers of a gateway to columns: a value for each row, a list where a row has several."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa

from serving.bulk.model_form import ModelForm, TensorForm
from serving.bulk.stopped import BulkStopped
from serving.bulk.values import DTYPES, Array

Values = Array | Sequence[object]

_TYPES = {
    "BOOL": pa.bool_(),
    "UINT8": pa.uint8(),
    "UINT16": pa.uint16(),
    "UINT32": pa.uint32(),
    "UINT64": pa.uint64(),
    "INT8": pa.int8(),
    "INT16": pa.int16(),
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    # Tables know no floats of 16 bits that every reader reads.
    "FP16": pa.float32(),
    "BF16": pa.float32(),
    "FP32": pa.float32(),
    "FP64": pa.float64(),
    "BYTES": pa.string(),
}


@dataclass(frozen=True, slots=True)
class Answered:
    """The outputs of some rows, as arrays by name; `degraded` is what the gateway said of their request."""

    columns: Mapping[str, pa.Array]
    version: int | None
    degraded: str | None


def column_type(output: TensorForm) -> pa.DataType:
    """The type of an output's column; what the model leaves open is a list."""
    value = _TYPES.get(output.datatype, pa.string())
    return value if output.width == 1 else pa.list_(value)


def from_tensors(form: ModelForm, body: bytes, json_size: int | None, rows: int) -> Answered:
    """The answer to binary tensors; outputs may stand in its JSON all the same."""
    document = orjson.loads(body[:json_size] if json_size is not None else body)
    at = json_size or 0
    columns = {}
    told = {output["name"]: output for output in document["outputs"]}
    for name, output in told.items():
        size = (output.get("parameters") or {}).get("binary_data_size")
        flat = (
            _flat(output["data"]) if size is None else _unpacked(output["datatype"], memoryview(body)[at : at + size])
        )
        at += size or 0
        spec = next((one for one in form.outputs if one.name == name), None)
        if spec is not None:
            columns[name] = _column(spec, flat, rows)
    _refuse_missing(form, columns)
    version = str(document.get("model_version") or "")
    return Answered(columns, int(version) if version.isdecimal() else None, None)


def from_predictions(form: ModelForm, body: bytes, headers: Mapping[str, str], rows: int) -> Answered:
    """The answer to instances."""
    predictions = orjson.loads(body)["predictions"]
    if len(predictions) != rows:
        raise BulkStopped(f"{form.name} answered {len(predictions)} predictions to {rows} rows")
    columns = {}
    for spec in form.outputs:
        cells = [one[spec.name] for one in predictions] if len(form.outputs) > 1 else predictions
        values = [_flat(cell) if isinstance(cell, list) else [cell] for cell in cells]
        type_ = column_type(spec)
        if pa.types.is_list(type_):
            columns[spec.name] = pa.array(values, type_)
        else:
            columns[spec.name] = _column(spec, [value for row in values for value in row], rows)
    version = headers.get("x-sluice-version", "")
    return Answered(columns, int(version) if version.isdecimal() else None, headers.get("x-sluice-degraded"))


def _column(spec: TensorForm, flat: Values, rows: int) -> pa.Array:
    type_ = column_type(spec)
    value = type_.value_type if pa.types.is_list(type_) else type_
    values = pa.array(flat, value)
    if not pa.types.is_list(type_):
        if len(values) != rows:
            declared = f"which it declares as one value a row (shape {list(spec.shape)})"
            raise BulkStopped(f"the model answered {len(values)} values of {spec.name!r} to {rows} rows, {declared}")
        return values
    if len(values) % rows:
        raise BulkStopped(f"the model answered {len(values)} values of {spec.name!r} to {rows} rows")
    offsets = np.arange(rows + 1, dtype=np.int32) * (len(values) // rows)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _unpacked(datatype: str, data: memoryview) -> Values:
    if datatype == "BYTES":
        return _strings(data)
    if datatype == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    found: Array = np.frombuffer(data, DTYPES[datatype])
    return found.astype(np.float32) if datatype == "FP16" else found


def _strings(data: memoryview) -> list[str]:
    found, at = [], 0
    while at < len(data):
        size = struct.unpack_from("<I", data, at)[0]
        found.append(bytes(data[at + 4 : at + 4 + size]).decode(errors="replace"))
        at += 4 + size
    return found


def _flat(data: Sequence[object]) -> list[object]:
    return [value for inner in data for value in (_flat(inner) if isinstance(inner, list) else (inner,))]


def _refuse_missing(form: ModelForm, columns: Mapping[str, Sequence[object]]) -> None:
    for spec in form.outputs:
        if spec.name not in columns:
            raise BulkStopped(f"the answer has no output {spec.name!r}, which {form.name} declares")
