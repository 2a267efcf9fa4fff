"""Bytes of a request on each link, counted from the frames and commands that the code makes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import entity_rows, model
from benchmarks.sizing.costs import MAX_ROWS
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import row_key
from serving.features.packed import RowLayout
from serving.inference import Batch, Stacked, Tensor, VersionKey
from serving.wire.batch_frame import encode_result, encode_run

OUTPUTS = 2
FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Link:
    """Bytes without the heads of TCP and IP; `there` from who asks."""

    name: str
    there: float
    back: float


def http(body_bytes: float, answer_bytes: float, path: str = "/v2/models/mlp/infer") -> Link:
    """`answer_bytes` as measured, head and all; a request has the least head that HTTP wants, as wrk sends it."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: {body_bytes:.0f}\r\n\r\n"
    return Link("client and gateway, HTTP and JSON", len(head) + body_bytes, answer_bytes)


def stream(rows: int) -> Link:
    """One row's share of a batch's frames."""
    inputs = Stacked("input", "FP32", (rows, model.FEATURES), [bytes(FLOAT_BYTES * model.FEATURES)] * rows)
    answers = Tensor("output", "FP32", (rows, OUTPUTS), bytes(FLOAT_BYTES * OUTPUTS * rows))
    asked = encode_run(Batch(VersionKey("mlp", 1), (inputs,), rows, 1e9), 1, 7, 1.0)[1]
    told = encode_result(7, [answers])[1]
    return Link(f"gateway and replica, batches of {rows}", asked / rows, told / rows)


def redis() -> Link:
    """A key and a row for each view, without the few bytes of the command around them."""
    there = back = 0
    for name in entity_rows.VIEWS:
        view = FeatureView(name, (name,), tuple(feature(column, "float32") for column in entity_rows.COLUMNS))
        key = row_key(view, [entity_rows.entity_id(1)])
        there += len(b"$%d\r\n%b\r\n" % (len(key), key))
        size = RowLayout(view).size
        back += len(b"$%d\r\n\r\n" % size) + size
    return Link(f"gateway and Redis, {len(entity_rows.VIEWS)} views", there, back)


def links(body_bytes: float, answer_bytes: float) -> list[Link]:
    """All of them, the request by entity beside the one with its row."""
    return [http(body_bytes, answer_bytes), stream(1), stream(MAX_ROWS), redis()]
