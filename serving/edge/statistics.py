"""The document of the statistics extension: counts and nanoseconds of each version, and of its batches by size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from serving.request_path.administration import VersionUsage
from serving.telemetry.usage import Runs, Usage


def statistics_document(used: Iterable[VersionUsage]) -> Mapping[str, Any]:
    """What `GET /v2/models/.../stats` answers."""
    return {"model_stats": [_version(one) for one in used]}


def _version(used: VersionUsage) -> Mapping[str, Any]:
    usage = used.usage
    return {
        "name": used.key.model,
        "version": str(used.key.version),
        "last_inference": round(usage.last_at * 1000),
        "inference_count": usage.rows,
        "execution_count": usage.batches,
        "inference_stats": _stages(usage),
        "response_stats": {},
        "batch_stats": [_runs(rows, runs) for rows, runs in sorted(usage.runs.items())],
        "memory_usage": [],
    }


def _stages(usage: Usage) -> Mapping[str, Any]:
    answered = usage.answered
    return {
        "success": _spent(answered, usage.total_s),
        "fail": _spent(usage.failed, usage.failed_s),
        "queue": _spent(answered, usage.queue_s),
        "compute_input": _spent(answered, usage.input_s),
        "compute_infer": _spent(answered, usage.infer_s),
        "compute_output": _spent(answered, usage.output_s),
        # There is no cache of answers.
        "cache_hit": _spent(0, 0),
        "cache_miss": _spent(0, 0),
    }


def _runs(rows: int, runs: Runs) -> Mapping[str, Any]:
    return {
        "batch_size": rows,
        "compute_input": _spent(runs.times, runs.input_s),
        "compute_infer": _spent(runs.times, runs.infer_s),
        "compute_output": _spent(runs.times, runs.output_s),
    }


def _spent(count: int, seconds: float) -> Mapping[str, int]:
    return {"count": count, "ns": round(seconds * 1e9)}
