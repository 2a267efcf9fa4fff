"""Gates: what must hold, against what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from loadtests.generator.outcomes import Outcomes, by_status
from loadtests.judging.early_stopping import most_over
from loadtests.judging.latency import SHARES, Seconds, error_share, finite, percentile_ms, waits
from loadtests.scenario.scenario import AllGates, Gates

WHOLE = "all"
# How a variant's answers with defaults are called beside all of its answers.
DEGRADED = "-degraded"
_PERCENTILES = ("p50_ms", "p90_ms", "p99_ms", "p999_ms")
_P99 = 0.99


@dataclass(frozen=True, slots=True)
class Judged:
    """One gate; `measured` is None where there was nothing to measure, or no end of waiting: then it is not met."""

    scope: str
    name: str
    limit: float
    measured: float | None
    met: bool
    note: str = ""

    def __str__(self) -> str:
        scope = "" if self.scope == WHOLE else f"{self.scope}: "
        measured = self.note or f"{self.measured:.4g}"
        return f"{scope}{self.name} {measured}, the gate is {self.limit:g}"


def judged_duration(gates: Gates, measured_s: float) -> list[Judged]:
    """With `percentile_rule`, what MLPerf calls a valid run: long enough, too, to meet what happens now and then."""
    limit = gates.duration_s
    return [] if limit is None else [_compared(WHOLE, "measured s", limit, round(measured_s, 3), at_least=True)]


def judged(gates: AllGates, outcomes: Outcomes, variants: Mapping[str, Outcomes]) -> list[Judged]:
    """Every gate of the whole load and of each variant."""
    told = [*_judged(WHOLE, gates, outcomes), *_degraded(WHOLE, gates, outcomes, variants)]
    for name, theirs in gates.variants.items():
        answered = variants.get(name)
        answered = outcomes.between(0, 0) if answered is None else answered
        told += [*_judged(name, theirs, answered), *_degraded(name, theirs, answered, variants)]
    return told


def _degraded(scope: str, gates: Gates, outcomes: Outcomes, variants: Mapping[str, Outcomes]) -> Iterator[Judged]:
    """Answers that tell no variant, as other servers' do not, do not tell this either."""
    if gates.degraded is not None:
        whose = [name for name in variants if name.endswith(DEGRADED) and scope in (WHOLE, name.removesuffix(DEGRADED))]
        found = sum(len(variants[name]) for name in whose) / len(outcomes) if variants and len(outcomes) else None
        yield _compared(scope, "degraded", gates.degraded, found)


def _judged(scope: str, gates: Gates, outcomes: Outcomes) -> Iterator[Judged]:
    ordered = waits(outcomes)
    for name in _PERCENTILES:
        limit = getattr(gates, name)
        if limit is not None:
            yield _percentile(scope, name, limit, ordered)
    if gates.percentile_rule and gates.p99_ms is not None:
        yield _rule(scope, gates.p99_ms, outcomes)
    if gates.goodput is not None:
        good = float(outcomes.within(gates.goodput.within_ms / 1e3).mean()) if len(outcomes) else None
        name = f"share within {gates.goodput.within_ms:g} ms"
        yield _compared(scope, name, gates.goodput.share, good, at_least=True)
    if gates.errors is not None:
        yield _compared(scope, "errors", gates.errors, error_share(outcomes))
    for kind, limit in gates.errors_by.items():
        found = by_status(outcomes).get(kind, 0) / len(outcomes) if len(outcomes) else None
        yield _compared(scope, f"errors: {kind}", limit, found)


def _percentile(scope: str, name: str, limit: float, ordered: Seconds) -> Judged:
    measured = percentile_ms(ordered, SHARES[name])
    if measured is not None and math.isinf(measured):
        return Judged(scope, name, limit, None, met=False, note="is endless: too many were never answered")
    return _compared(scope, name, limit, measured)


def _rule(scope: str, limit_ms: float, outcomes: Outcomes) -> Judged:
    """`measured` and `limit` are requests over the bound, who was refused or answered wrongly among them.

    Of MLPerf's Server every query has to be answered: one that is not is as late as can be.
    """
    over = len(outcomes) - int(outcomes.within(limit_ms / 1e3).sum())
    most = most_over(len(outcomes), _P99)
    note = f"{over} over it" if most >= 0 else f"only {len(outcomes)} requests: too few for a confidence of 99 %"
    return Judged(scope, f"requests over {limit_ms:g} ms, with confidence", most, over, over <= most, note)


def _compared(scope: str, name: str, limit: float, measured: float | None, *, at_least: bool = False) -> Judged:
    if measured is None:
        return Judged(scope, name, limit, None, met=False, note="nothing was measured")
    met = measured >= limit if at_least else measured <= limit
    return Judged(scope, name, limit, finite(measured) if measured > 1 else measured, met)


def right_share(outcomes: Outcomes) -> float:
    """Of all, the share with a right answer."""
    return float((outcomes.status == HTTPStatus.OK).mean()) if len(outcomes) else 0.0
