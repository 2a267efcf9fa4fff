"""A rollout as Prometheus sees it: labels are models, rollouts, gates and words of this product, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

from serving.telemetry.catalogue import (
    ROLLOUT_EVIDENCE,
    ROLLOUT_LATE,
    ROLLOUT_NEEDED,
    ROLLOUT_PHASE,
    ROLLOUT_RATE_BOUND,
    ROLLOUT_RATIO,
    ROLLOUT_RATIO_BOUND,
    ROLLOUT_REQUESTS,
    ROLLOUT_STEP,
    ROLLOUT_STEPS,
    ROLLOUT_VERDICT,
    ROLLOUT_WEIGHT,
    MetricSpec,
)
from serving.telemetry.snapshot import Series

Value = tuple[Series, float]
_BOUNDS = ("lower", "upper")


def series_of(seen: Mapping[str, Any], verdict: str) -> Iterator[Value]:
    """Everything of one rollout, of what `view.view` shows of it and `bridge.outcome` says."""
    of = seen["model"], seen["id"]
    measuring = seen["phase"] == "measuring"
    yield _one(ROLLOUT_PHASE, (*of, seen["phase"]), 1)
    yield _one(ROLLOUT_VERDICT, (*of, verdict, seen["reason"]), 1)
    yield _one(ROLLOUT_WEIGHT, of, seen["weight_percent"] / 100)
    yield _one(ROLLOUT_STEP, of, 0 if measuring else seen["step"] + 1)
    yield _one(ROLLOUT_STEPS, of, len(seen["steps"]))
    yield _one(ROLLOUT_LATE, of, seen["late_requests"])
    for arm, count in seen["requests"].items():
        yield _one(ROLLOUT_REQUESTS, (*of, arm), count)
    for gate in seen["gates"]:
        yield from _of_gate(of, gate)
    for guard in seen["guardrail"]:
        labels = (*of, f"guardrail_{guard['name']}")
        yield _one(ROLLOUT_EVIDENCE, labels, guard["evidence"])
        yield _one(ROLLOUT_NEEDED, labels, guard["needed"])


def _of_gate(of: tuple[str, str], gate: Mapping[str, Any]) -> Iterator[Value]:
    labels = (*of, gate["name"])
    yield _one(ROLLOUT_EVIDENCE, labels, gate["evidence"])
    yield _one(ROLLOUT_NEEDED, labels, gate["needed"])
    yield _one(ROLLOUT_RATIO, labels, gate["ratio"])
    for bound, value in zip(_BOUNDS, gate["ratio_between"], strict=True):
        yield _one(ROLLOUT_RATIO_BOUND, (*labels, bound), inf if value is None else value)
    for arm, bounds in gate["rates_between"].items():
        for bound, value in zip(_BOUNDS, bounds, strict=True):
            yield _one(ROLLOUT_RATE_BOUND, (*labels, arm, bound), value)


def _one(spec: MetricSpec, labels: tuple[str, ...], value: float) -> Value:
    return Series(spec.name, labels), float(value)
