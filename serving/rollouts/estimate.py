"""Before a rollout starts: how long each gate will need to see what, and what that may cost.

Evidence grows by the Kullback-Leibler divergence with each event: of an event that the canary causes with probability
`pi(phi, rho)`, where `pi(phi0, rho)` is allowed, by

    D = pi ln(pi / pi0) + (1 - pi) ln((1 - pi) / (1 - pi0))

so `(ln(1/alpha) + what the mixture costs) / D` events decide on average (Wald, "Sequential tests of statistical
hypotheses", Annals of Mathematical Statistics 1945). Of latency `rho` is the share of runs, and of an arm's runs the
first of each turn alone counts: many requests decide no earlier than some do. What the mixture costs was fitted to
simulations: half of all rollouts are decided earlier, half later, few in more than twice the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, log
from typing import NamedTuple

import numpy as np

from serving.rollouts.confidence import rate_interval
from serving.rollouts.drift import shift
from serving.rollouts.no_harm import ALPHA
from serving.rollouts.plan import TAILS, GateSettings, Plan, Step
from serving.rollouts.rate_evidence import pairs_to_keep
from serving.rollouts.stratum import WHOLE_BP
from serving.routing.table import TURN_S

# Natural logarithms of the factors that mixing over ratios and starts, and over bounds or shapes, costs.
_MIXTURE = 2.0
_SHAPES = 2.5
_PROOF = 1.5
# The largest ratio that is tried: of events that the canary alone has, it explains the most.
_LARGEST = 10.0
# What the canary alone may do: this share of its answers.
_ALONE = 0.01
_MINUTES_A_DAY = 1_440
_LONGEST_MIN = 7 * _MINUTES_A_DAY


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was measured of the stable version; without another figure each request runs by itself, in one worker."""

    requests_per_min: float
    error_rate: float
    missing_rate: float = 0.0
    runs_per_request: float = 1.0
    workers: int = 1


class Forecast(NamedTuple):
    """When a gate sees a change that is there from the start: after how long, in which step (None: not at all).

    `excess` is how many answers more than usual are errors by then, 0 for gates of other things.
    """

    gate: str
    change: str
    step: int | None
    minutes: float
    excess: float


def forecasts(plan: Plan, traffic: Traffic) -> list[Forecast]:
    """For each gate of the plan, changes of the sizes that people ask about."""
    found = []
    for name, ratio in (("errors", 2.0), ("errors", 3.0), ("errors", 10.0), ("features_missing", 3.0)):
        rate = traffic.error_rate if name == "errors" else traffic.missing_rate
        if name in plan.gates and rate > 0:
            found.append(_forecast(plan, traffic, name, (ratio, rate), f"{ratio:g} times as many"))
    if "latency" in plan.gates:
        for quantile, ratio in zip(TAILS, (2.0, 3.0), strict=True):
            words = f"{ratio:g} times as many runs over the p{100 * quantile:g}"
            found.append(_latency_forecast(plan, traffic, (ratio, 1 - quantile), words))
    if "scores" in plan.gates:
        found.append(_drift_forecast(plan, traffic, plan.gates["scores"]))
    for name, rate in (("features_missing", traffic.missing_rate), ("outputs_invalid", 0.0)):
        if name in plan.gates and rate == 0:
            found.append(_forecast_alone(plan, traffic, name))
    if "split" in plan.gates:
        found.append(_split_forecast(plan, traffic))
    return found


def proof_minutes(plan: Plan, traffic: Traffic) -> float:
    """How long the last step needs to show that an equal canary does no harm, by the slower of its gates."""
    step = plan.steps[-1]
    times = [step.least_s / 60]
    for name, settings in plan.gates.items():
        of_errors = name == "errors"
        rates = (traffic.error_rate,) if of_errors else tuple(1 - quantile for quantile in TAILS)
        # All runs of the step show it, those of the same turn as well.
        per_min = traffic.requests_per_min * (1.0 if of_errors else traffic.runs_per_request)
        for rate, (ratio, excess) in zip(rates, settings.margins, strict=False):
            times.append(min(_by_ratio(step, per_min, rate, ratio), _by_excess(step, per_min, rate, excess)))
    return max(times)


def shadow_minutes(plan: Plan, traffic: Traffic) -> list[tuple[str, int, float]]:
    """Of each gate of the shadow stage: pairs that show its limit kept where no pair goes against it, and minutes."""
    if plan.shadow is None:
        return []
    per_min = traffic.requests_per_min * plan.shadow.percent / 100
    found = []
    for name, gate in plan.shadow.gates.items():
        pairs = max(pairs_to_keep(gate.largest, 1 / ALPHA), plan.min_requests)
        found.append((name, pairs, pairs / per_min if per_min else inf))
    return found


def budget_share(excess: float, traffic: Traffic, objective: float = 0.999, days: float = 30.0) -> float:
    """Which share of the errors that an objective permits in so many days these are."""
    permitted = (1 - objective) * traffic.requests_per_min * _MINUTES_A_DAY * days
    return excess / permitted if permitted else inf


def _forecast(plan: Plan, traffic: Traffic, name: str, change: tuple[float, float], words: str) -> Forecast:
    settings, (ratio, rate) = plan.gates[name], change

    def growth(step: Step) -> float:
        rho = step.weight_bp / WHOLE_BP
        events = traffic.requests_per_min * rate * (rho * ratio + 1 - rho)
        return events * _divergence(rho, ratio, settings.allowed)

    step, minutes, canary = _walk(plan, traffic, growth, log(1 / settings.alpha) + _MIXTURE)
    excess = canary * rate * (ratio - 1) if name == "errors" else 0.0
    return Forecast(name, words, step, minutes, excess)


def _latency_forecast(plan: Plan, traffic: Traffic, change: tuple[float, float], words: str) -> Forecast:
    settings, (ratio, rate) = plan.gates["latency"], change

    def growth(step: Step) -> float:
        canary, stable = _leading(step, traffic)
        if canary == 0 or stable == 0:
            return 0.0
        return rate * (canary * ratio + stable) * _divergence(canary / (canary + stable), ratio, settings.allowed)

    step, minutes, _ = _walk(plan, traffic, growth, log(1 / settings.alpha) + _MIXTURE + _SHAPES)
    return Forecast("latency", words, step, minutes, 0.0)


def _leading(step: Step, traffic: Traffic) -> tuple[float, float]:
    """Runs a minute of both arms, the canary's first, that are evidence: the first of each turn in each worker."""
    rho, turns = step.weight_bp / WHOLE_BP, 60 / TURN_S * traffic.workers
    runs = traffic.requests_per_min * traffic.runs_per_request
    canary, stable = (turns * (1 - exp(-runs * share / turns)) for share in (rho, 1 - rho))
    return canary, stable


def _forecast_alone(plan: Plan, traffic: Traffic, name: str) -> Forecast:
    """Of what the stable version never does: each event is the canary's."""
    settings = plan.gates[name]
    largest = settings.allowed * _LARGEST

    def events(step: Step) -> float:
        return traffic.requests_per_min * _ALONE * step.weight_bp / WHOLE_BP

    def growth(step: Step) -> float:
        rho = step.weight_bp / WHOLE_BP
        odds = (rho * largest + 1 - rho) / (rho * settings.allowed + 1 - rho)
        return events(step) * (log(_LARGEST) - log(odds))

    decided = _walk(plan, traffic, growth, log(1 / settings.alpha) + _MIXTURE)
    # With a small share each of them says so much that a verdict waits for enough of them.
    enough = _walk(plan, traffic, events, plan.min_events)
    step, minutes, _ = max(decided, enough, key=lambda one: one[1])
    return Forecast(name, f"{100 * _ALONE:g} % of the canary's alone", step, minutes, 0.0)


def _split_forecast(plan: Plan, traffic: Traffic) -> Forecast:
    ratio = 1.1

    def growth(step: Step) -> float:
        rho = step.weight_bp / WHOLE_BP
        return traffic.requests_per_min * (rho * ratio + 1 - rho) * _divergence(rho, ratio, 1.0)

    step, minutes, _ = _walk(plan, traffic, growth, log(1 / plan.gates["split"].alpha) + _SHAPES)
    return Forecast("split", "a tenth more than the canary's share", step, minutes, 0.0)


def _drift_forecast(plan: Plan, traffic: Traffic, settings: GateSettings) -> Forecast:
    phis = shift(0.25, 10)

    def growth(step: Step) -> float:
        rho = step.weight_bp / WHOLE_BP
        each = [(rho * phi + 1 - rho) / phis.size * _divergence(rho, float(phi), 1.0) for phi in phis]
        return traffic.requests_per_min * float(np.sum(each))

    step, minutes, _ = _walk(plan, traffic, growth, log(1 / settings.alpha) + _SHAPES)
    return Forecast("scores", "shifted by a quarter of their spread", step, minutes, 0.0)


def _walk(
    plan: Plan, traffic: Traffic, growth: Callable[[Step], float], needed: float
) -> tuple[int | None, float, float]:
    """Through the steps at their least times: where the evidence is enough, when, and canary requests until then."""
    evidence = minutes = canary = 0.0
    for place, step in enumerate(plan.steps):
        # An undecided last step lasts as long as it may.
        lasts = (step.most_s if place == len(plan.steps) - 1 else step.least_s) / 60
        per_min = growth(step)
        takes = (needed - evidence) / per_min if per_min > 0 else inf
        share = traffic.requests_per_min * step.weight_bp / WHOLE_BP
        if takes <= lasts:
            return place, minutes + takes, canary + takes * share
        evidence, minutes, canary = evidence + lasts * per_min, minutes + lasts, canary + lasts * share
    return None, minutes, canary


def _divergence(rho: float, ratio: float, allowed: float) -> float:
    pi, pi0 = (rho * phi / (rho * phi + 1 - rho) for phi in (ratio, allowed))
    return pi * log(pi / pi0) + (1 - pi) * log((1 - pi) / (1 - pi0))


def _by_ratio(step: Step, per_min: float, rate: float, margin: float) -> float:
    growth = per_min * rate * _divergence(step.weight_bp / WHOLE_BP, 1.0, margin)
    return (log(2 / ALPHA) + _PROOF) / growth if growth else inf


def _by_excess(step: Step, per_min: float, rate: float, excess: float) -> float:
    canary = per_min * step.weight_bp / WHOLE_BP
    stable = per_min - canary
    minutes = 1.0
    while minutes < _LONGEST_MIN and _bound(canary * minutes, stable * minutes, rate) >= excess:
        minutes *= 1.1
    return minutes if minutes < _LONGEST_MIN else inf


def _bound(canary: float, stable: float, rate: float) -> float:
    _, most = rate_interval(round(canary * rate), round(canary), ALPHA / 4)
    least, _ = rate_interval(round(stable * rate), round(stable), ALPHA / 4)
    return most - least
