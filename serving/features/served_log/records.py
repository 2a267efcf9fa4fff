"""A logged request as records, one for each instance, and the columns that they have."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from serving.features.keys import values_of
from serving.features.segments import FORMATS
from serving.features.served_log.entry import Entry
from serving.inference import ELEMENT_SIZE, Tensor, bytes_offsets

Record = dict[str, object]
# A name and what it holds: a datatype of tensors, or `text`, `time` (milliseconds since 1970), `list:` and a datatype.
Column = tuple[str, str]

# What a request's `id` has at most here.
_LONGEST_ID = 256
_FIXED: tuple[Column, ...] = (
    ("request_id", "text"),
    ("instance", "INT32"),
    ("served_at", "time"),
    ("model", "text"),
    ("version", "INT64"),
    ("variant", "text"),
)


def columns_of(entry: Entry) -> tuple[Column, ...]:
    """The columns of an entry's records, in their order."""
    plan = entry.seen.rows.plan
    columns = [*_FIXED, *((f"entity.{key}", "text") for key in plan.entity_keys)]
    for (name, features), tensor in zip(plan.explanation.columns, entry.seen.tensors, strict=True):
        columns += [(f"feature.{name}.{feature}", tensor.datatype) for feature in features]
    for read in plan.explanation.reads:
        columns += [(f"status.{read.view.name}.{name}", "text") for name in read.used]
        columns.append((f"age_s.{read.view.name}", "FP64"))
    columns += [(f"prediction.{one.name}", f"list:{one.datatype}") for one in _told(entry.answer.outputs.tensors)]
    return tuple(columns)


def records_of(entry: Entry, id_of: Callable[[str], str]) -> Iterator[Record]:
    """One record for each instance; `id_of` gives what stands for an entity's id."""
    seen, answer = entry
    rows, plan = seen.rows, seen.rows.plan
    explanation = plan.explanation
    outputs = [_values_of(tensor, rows.count) for tensor in _told(answer.tensors())]
    request_id = rows.request_id[:_LONGEST_ID] if rows.request_id else None
    for position in range(rows.count):
        fixed = (request_id, position, seen.now_ms, answer.key.model, answer.key.version, answer.variant)
        record: Record = dict(zip((name for name, _ in _FIXED), fixed, strict=True))
        for number, read in enumerate(explanation.reads):
            key = rows.keys[position * len(explanation.reads) + number]
            for name, value in zip(read.view.entity, values_of(read.view, key), strict=True):
                record[f"entity.{name}"] = id_of(value)
            record[f"age_s.{read.view.name}"] = read.age_s(seen.found.get(key) if seen.found else None, seen.now_ms)
        for (name, features), tensor in zip(explanation.columns, seen.tensors, strict=True):
            values = _row(tensor, position, rows.count)
            record.update(zip((f"feature.{name}.{feature}" for feature in features), values, strict=True))
        for feature, told in explanation.statuses(rows, position, seen.found, seen.now_ms).items():
            record[f"status.{feature}"] = told["status"]
        for name, value_at in outputs:
            record[f"prediction.{name}"] = value_at(position)
        yield record


def _told(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor.datatype in FORMATS or tensor.datatype == "BYTES"]


def _values_of(tensor: Tensor, count: int) -> tuple[str, Callable[[int], object]]:
    """An output's name, and what gives one instance's values of it: none where its rows are not the instances."""
    if not tensor.shape or tensor.shape[0] != count:
        return tensor.name, lambda _: None
    if tensor.datatype == "BYTES":
        texts = _texts(tensor)
        each = len(texts) // count
        return tensor.name, lambda position: texts[position * each : (position + 1) * each]
    return tensor.name, lambda position: list(_row(tensor, position, count))


def _row(tensor: Tensor, position: int, count: int) -> tuple[float, ...]:
    size = len(tensor.data) // count
    return struct.unpack_from(
        f"<{size // ELEMENT_SIZE[tensor.datatype]}{FORMATS[tensor.datatype]}", tensor.data, position * size
    )


def _texts(tensor: Tensor) -> list[str]:
    elements = 1
    for size in tensor.shape:
        elements *= size
    offsets = bytes_offsets(tensor.data, elements)
    data = bytes(tensor.data)
    return [data[start + 4 : stop].decode(errors="replace") for start, stop in pairwise(offsets)]
