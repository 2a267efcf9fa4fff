"""How one worker batches a model just now: for each version in each role what a run takes, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from serving.request_path.variants import Variant


def batching_of(variants: Iterable[Variant], model: str) -> list[Mapping[str, Any]]:
    """Plain values; `batching_view` makes one answer of those of all workers."""
    return [_facts(variant) for variant in variants if variant.key.model == model]


def _facts(variant: Variant) -> Mapping[str, Any]:
    batcher, backend, key = variant.batcher, variant.backend, variant.key
    pace = batcher.pace
    return {
        "version": key.version,
        "variant": variant.name,
        "estimate": {**pace.estimate._asdict(), "runs": pace.runs},
        "drag": pace.drag,
        "window": {**pace.window._asdict(), "max_rows": pace.most_rows},
        "goal_s": pace.goal_s,
        "promised": bool(variant.served.latency_slo_us),
        "queue_rows": {str(level): rows for level, rows in batcher.rows_by_level().items()},
        "slots": backend.slots(key),
        "servers": backend.servers(key),
    }
