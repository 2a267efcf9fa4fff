"""Entries of the served-feature log as the request path would have offered them."""

from __future__ import annotations

import struct

from serving.features.plan import ReadPlan
from serving.features.segments import FORMATS
from serving.features.served_log.entry import Entry, Seen
from serving.inference import Answer, Outputs, Tensor, VersionKey
from tests.unit.features.test_plan import FOUND, NOW_MS

KEY = VersionKey("late", 3)


def entry_of(
    plan: ReadPlan, *instances: object, request_id: str | None = "r1", key: VersionKey = KEY, kind: str = "FP32"
) -> Entry:
    """`kind` is the datatype of the score."""
    rows = plan.read(instances)
    rows.request_id = request_id
    count = len(instances)
    seen = Seen(rows, FOUND, NOW_MS, plan.tensors(rows, FOUND, NOW_MS).tensors)
    # One row of others before it in the batch.
    scores = struct.pack(f"<{count + 1}{FORMATS[kind]}", 9, *range(count))
    words = b"".join(struct.pack("<I", 1) + b"%d" % number for number in range(count + 1))
    outputs = Outputs((Tensor("y", kind, (count + 1, 1), scores), Tensor("word", "BYTES", (count + 1, 1), words)))
    return Entry(seen, Answer(outputs, 1, count + 1, False, key, "canary", 0.0, 0.0))
