"""Rules of other products, written for this comparison from what their documentation says, under the same plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import erfc, sqrt

import numpy as np

from serving.rollouts.gate import GateSet, Kind
from serving.rollouts.plan import Plan
from serving.rollouts.simulation import Judge
from serving.rollouts.stratum import EVERY, Counts, Floats, StratumCounts
from serving.rollouts.verdict import Action, Look, Outcome, Verdict

_MINUTE_S = 60
_HOLD = Verdict(Outcome.WAITING, Action.HOLD, "waiting", "")
_ADVANCE = Verdict(Outcome.PASS, Action.ADVANCE, "time_over", "")


@dataclass(frozen=True, slots=True)
class Point:
    """A minute's requests, errors, and answers over the bounds nearest p90 and p99: canary, stable."""

    requests: Counts
    errors: Counts
    slow: Counts
    very_slow: Counts


class EachMinute:
    """Calls a rule once a minute with all points so far; steps end when their least time is over."""

    def __init__(self, plan: Plan, gates: GateSet, rule: Callable[[list[Point]], str]) -> None:
        self._plan, self._gates, self._rule = plan, gates, rule
        self._points: list[Point] = []
        self._events = np.zeros((2, gates.columns), np.int64)
        self._requests = np.zeros(2, np.int64)
        self._seconds = 0.0
        self._last = (0, 0.0)

    def look(self, counts: StratumCounts, look: Look) -> Verdict:
        """Collect, and judge where a minute is over."""
        step, before_s = self._last
        self._last = look.step, look.elapsed_s
        self._seconds += look.elapsed_s - (before_s if step == look.step else 0.0)
        self._events = self._events + counts.events[EVERY]
        self._requests = self._requests + counts.requests
        if self._seconds >= _MINUTE_S:
            self._close_minute()
            reason = self._rule(self._points)
            if reason:
                return Verdict(Outcome.FAIL, Action.ROLLBACK, reason, "")
        return _ADVANCE if look.elapsed_s >= self._plan.steps[look.step].least_s else _HOLD

    def _close_minute(self) -> None:
        latency = next(gate for gate in self._gates.gates if gate.name == "latency")
        by_bin = self._gates.by_bin(latency, self._events)
        slow, very_slow = (by_bin[:, margin.bin] for margin in latency.margins)
        errors = self._events[:, self._gates.firsts["errors"]]
        self._points.append(Point(self._requests, errors, slow, very_slow))
        self._events, self._requests, self._seconds = np.zeros_like(self._events), np.zeros(2, np.int64), 0.0


def by_row(gates: GateSet) -> GateSet:
    """The shipped gates as they were once, when each answer that was slow counted, however many of one run."""
    return GateSet([replace(gate, kind=Kind.RATE) if gate.of_runs else gate for gate in gates.gates])


def rules(plan: Plan, gates: GateSet) -> dict[str, Judge]:
    """New ones for each run, since they remember."""
    return {
        "thresholds": EachMinute(plan, gates, Thresholds()),
        "peeked z-test": EachMinute(plan, gates, peeked_z),
        "Kayenta-like": EachMinute(plan, gates, kayenta_like),
    }


class Thresholds:
    """Argo Rollouts' example analysis: success rate >= 0.95 in the last minute, failureLimit 3; four errors in a row,
    such as of minutes without data, end it too (consecutiveErrorLimit).
    """

    def __init__(self) -> None:
        self._failures = self._empty = 0

    def __call__(self, points: list[Point]) -> str:
        """A reason to roll back, or none."""
        last = points[-1]
        if last.requests[0] == 0:
            self._empty += 1
            return "no data" if self._empty > 4 else ""  # noqa: PLR2004 - consecutiveErrorLimit
        self._empty = 0
        self._failures += bool(1 - last.errors[0] / last.requests[0] < 0.95)  # noqa: PLR2004 - successCondition
        return "errors" if self._failures > 3 else ""  # noqa: PLR2004 - failureLimit


def peeked_z(points: list[Point]) -> str:
    """One-sided z-tests of pooled counts at 5 %, shared by errors and both tails of latency, looked at every minute."""
    requests = sum((point.requests for point in points), np.zeros(2, np.int64))
    if not requests.all():
        return ""
    for name in ("errors", "slow", "very_slow"):
        events = sum((getattr(point, name) for point in points), np.zeros(2, np.int64))
        rates, pooled = events / requests, events.sum() / requests.sum()
        spread = sqrt(pooled * (1 - pooled) * (1 / requests[0] + 1 / requests[1]))
        if spread and 0.5 * erfc((rates[0] - rates[1]) / spread / sqrt(2)) < 0.05 / 3:
            return name
    return ""


def kayenta_like(points: list[Point]) -> str:
    """Kayenta's NetflixACAJudge on a point a minute, from 10 points on, judged again every minute.

    High where the 98 % interval of the Hodges-Lehmann shift lies above a quarter of the shift; any high metric fails.
    Points without requests are left out, as NaN is.
    """
    seen = [point for point in points if point.requests.all()]
    if len(seen) < 10:  # noqa: PLR2004 - a canary analysis needs some points
        return ""
    for name in ("errors", "slow", "very_slow"):
        rates = np.array([getattr(point, name) / point.requests for point in seen])
        if _high(rates[:, 0], rates[:, 1]):
            return name
    return ""


def _high(canary: Floats, stable: Floats) -> bool:
    shifts = np.sort((canary[:, None] - stable[None, :]).ravel())
    size = len(canary)
    # 2.326: both sides of 98 %.
    low = round(size * size / 2 - 2.326 * sqrt(size * size * (2 * size + 1) / 12))
    return bool(shifts[max(0, low)] > 0.25 * max(0.0, float(np.median(shifts))))
