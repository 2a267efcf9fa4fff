"""What is kept of each row's answer: its outputs, the version that gave them, and why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from serving.bulk.answer import column_type
from serving.bulk.asking import Part
from serving.bulk.model_form import ModelForm
from serving.bulk.values import Bad
from serving.errors import BadRequest

# Beside them stands one column for each output, named by its place.
REJECTED = "rejected"
VERSION = "version"
DEGRADED = "degraded"


def record_schema(form: ModelForm) -> pa.Schema:
    """One row for each row of the file."""
    fields = [pa.field(REJECTED, pa.string()), pa.field(VERSION, pa.int64()), pa.field(DEGRADED, pa.string())]
    return pa.schema([*fields, *(pa.field(str(n), column_type(one)) for n, one in enumerate(form.outputs))])


def record(form: ModelForm, rows: int, parts: Sequence[Part], bad: Bad) -> pa.RecordBatch:
    """The answers of `rows` rows; parts and `bad` count them from 0 and have each row once."""
    schema = record_schema(form)
    good = [part for part in parts if part.answered is not None]
    reasons = dict(bad) | {row: part.reason for part in parts if part.answered is None for row in part.rows}
    whole = len(good) == 1 and not reasons
    place = np.full(rows, -1, np.int64)
    place[[row for part in good for row in part.rows]] = np.arange(rows - len(reasons))
    order = None if whole else pa.array(place, mask=place < 0)
    columns = [
        pa.array([reasons.get(row) for row in range(rows)], pa.string()) if reasons else pa.nulls(rows, pa.string()),
        _in_order(_repeated(good, [part.answered.version for part in good if part.answered], pa.int64()), order),
        _in_order(_repeated(good, [part.answered.degraded for part in good if part.answered], pa.string()), order),
    ]
    for number, output in enumerate(form.outputs):
        found = [part.answered.columns[output.name] for part in good if part.answered is not None]
        type_ = schema.field(str(number)).type
        columns.append(_in_order(pa.concat_arrays(found) if found else pa.nulls(0, type_), order))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _repeated(parts: Sequence[Part], values: Sequence[object], type_: pa.DataType) -> pa.Array:
    runs = [pa.repeat(pa.scalar(value, type_), len(part.rows)) for part, value in zip(parts, values, strict=True)]
    return pa.concat_arrays(runs) if runs else pa.nulls(0, type_)


def _in_order(values: pa.Array, order: pa.Array | None) -> pa.Array:
    return values if order is None else values.take(order)


def added_names(form: ModelForm, prefix: str, kept: Sequence[str]) -> Mapping[str, str]:
    """The columns of the output file beside the kept ones: their names by those of a record.

    Raises:
        BadRequest: one is there already.
    """
    names = {"0": f"{prefix}prediction"} if len(form.outputs) == 1 else {}
    names = names or {str(number): f"{prefix}{one.name}" for number, one in enumerate(form.outputs)}
    names[VERSION] = f"{prefix}model_version"
    if form.by_entity:
        names[DEGRADED] = f"{prefix}degraded"
    taken = list(kept)
    for name in names.values():
        if name in taken:
            raise BadRequest(f"the output would have the column {name!r} twice; name the answers' apart with --prefix")
        taken.append(name)
    return names
