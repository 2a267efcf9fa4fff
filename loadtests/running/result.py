"""What a load test found, as one JSON document; reports and comparisons are made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np

from loadtests.generator.outcomes import Outcomes
from loadtests.judging.gates import Judged
from loadtests.judging.latency import finite, histogram, ladder, never_answered, percentile_ms, summary, waits
from loadtests.judging.self_check import NOTHING, SelfCheck
from loadtests.running.chaos import Mark
from loadtests.scenario.scenario import Scenario
from loadtests.scenario.shape import StageSpan

SCHEMA = 1
VERDICTS = PASSED, FAILED, INVALID, INTERRUPTED = "passed", "failed", "invalid", "interrupted"
# Charts over time have at the most so many points.
_POINTS = 600


@dataclass(frozen=True, slots=True)
class Measured:
    """The load, as it was: `outcomes` of all of it, `counted` without the warm-up, variants by name."""

    outcomes: Outcomes
    counted: Outcomes
    spans: Sequence[StageSpan]
    variants: dict[str, Outcomes]
    seconds: float
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Around:
    """What is told beside the load."""

    started_at: str
    environment: dict[str, Any]
    marks: Sequence[Mark]
    stages_ms: dict[str, float]
    near_look_ups: dict[str, int] = field(default_factory=dict)


def verdict(check: SelfCheck, gates: Sequence[Judged], *, interrupted: bool) -> str:
    """An invalid load passes and fails nothing, and half a load neither."""
    # Who gives up within the warm-up has measured nothing, and that is no fault of the generator's.
    if interrupted and check.problems in ((), (NOTHING,)):
        return INTERRUPTED
    if not check.valid:
        return INVALID
    return PASSED if all(gate.met for gate in gates) else FAILED


def document(
    scenario: Scenario, measured: Measured, check: SelfCheck, gates: Sequence[Judged], around: Around
) -> dict[str, Any]:
    """Everything, in plain values."""
    ordered = waits(measured.counted)
    counted_s = counted_seconds(measured)
    return {
        "schema": SCHEMA,
        "name": scenario.name,
        "about": scenario.about,
        "target": scenario.target,
        "loop": scenario.generator.loop,
        "started_at": around.started_at,
        "seconds": round(measured.seconds, 3),
        "verdict": verdict(check, gates, interrupted=measured.interrupted),
        "problems": list(check.problems),
        "notes": [*check.notes, *_notes(scenario)],
        "gates": [asdict(gate) for gate in gates],
        "totals": summary(measured.counted, counted_s),
        "users": _users(scenario, measured.counted, counted_s),
        "variants": {name: summary(one, counted_s) for name, one in measured.variants.items()},
        "stages": [_stage(measured, span) for span in measured.spans],
        "timeline": list(timeline(measured.outcomes, measured.seconds)),
        "percentiles": ladder(ordered),
        "histogram": histogram(ordered),
        "variant_percentiles": {name: ladder(waits(one)) for name, one in measured.variants.items()},
        "chaos": [mark.as_json() for mark in around.marks],
        "server_stages_ms": around.stages_ms,
        "near_look_ups": around.near_look_ups,
        "generator": check.figures,
        "environment": around.environment,
        "scenario": scenario.model_dump(mode="json"),
    }


def counted_seconds(measured: Measured) -> float:
    """How long the load was measured, warm-up left out."""
    return sum(max(0.0, min(span.ended, measured.seconds) - span.began) for span in measured.spans if not span.warm_up)


def timeline(outcomes: Outcomes, seconds: float) -> Iterator[dict[str, Any]]:
    """Pieces of equal length, a second or more."""
    step = max(1.0, float(np.ceil(seconds / _POINTS)))
    for number in range(int(np.ceil(seconds / step))):
        part = outcomes.between(number * step, (number + 1) * step)
        length = min(step, seconds - number * step)
        right = part.status == HTTPStatus.OK
        ordered = waits(part)
        yield {
            "at_s": round(number * step, 3),
            "asked_per_second": round(len(part) / length, 2),
            "right_per_second": round(float(right.sum()) / length, 2),
            "errors_per_second": round(float((~right).sum()) / length, 2),
            "never_answered": never_answered(part),
            **{f"p{share * 100:g}_ms": finite(percentile_ms(ordered, share)) for share in (0.5, 0.99, 0.999)},
            "max_ms": finite(percentile_ms(ordered, 1.0)),
        }


def _users(scenario: Scenario, counted: Outcomes, seconds: float) -> dict[str, Any]:
    told = {}
    for number, user in enumerate(scenario.users):
        theirs = counted.where(counted.stream // 2 == number)
        checked = int((theirs.stream % 2 == 1).sum())
        told[user.name] = {"protocol": user.protocol, "compared": checked, **summary(theirs, seconds)}
    return told


def _stage(measured: Measured, span: StageSpan) -> dict[str, Any]:
    part = measured.outcomes.between(span.began, span.ended)
    length = max(0.0, min(span.ended, measured.seconds) - span.began)
    return {"name": span.name, "began_s": span.began, "warm_up": span.warm_up, **summary(part, length)}


def _notes(scenario: Scenario) -> list[str]:
    if scenario.generator.loop == "open":
        return []
    return ["closed loop: callers wait for answers, so a stall holds up a few of them and hides from all others"]
