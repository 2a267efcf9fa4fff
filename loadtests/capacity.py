"""The highest Poisson rate at which a goal holds: doubled, halved, and then tried around; each step told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from loadtests.generator.outcomes import LOST, SAID, UNANSWERED, UNSENT
from loadtests.judging.early_stopping import most_over
from loadtests.scenario.scenario import MOST_RATE, Scenario
from serving.errors import ConfigInvalid

Held = Literal["held", "missed", "unsure", "invalid"]
# From here on steps go around the capacity, up to so far from it, and a line needs so many of them.
_NEAR = 0.15
_AROUND = 0.1
_LEAST_POINTS = 6
# So many steps in a row that the generator could not keep up in are no accident.
_INVALID = 2
_SPREAD = (0.97, 1.03, 1.0, 0.94, 1.05)
_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True, slots=True)
class Goal:
    """A percentile's bound, and the share of errors that is permitted beside it."""

    percentile: str
    bound_ms: float
    errors: float = 0.001

    @property
    def share(self) -> float:
        """Of requests."""
        return _PERCENTILES[self.percentile]


@dataclass(frozen=True, slots=True)
class Search:
    """Where it begins, how near it gets, and how long a step and the whole may take.

    Raises:
        ConfigInvalid: the whole has no room for one step.
    """

    first: float = 100.0
    within: float = 0.04
    step_s: float = 15.0
    most_s: float = 300.0
    warm_up_s: float = 2.0

    def __post_init__(self) -> None:
        needed_s = self.step_s + self.warm_up_s
        if self.most_s < needed_s:
            raise ConfigInvalid(
                f"{self.most_s:g} s have no room for a step of {self.step_s:g} s and {self.warm_up_s:g} s of warm-up; "
                f"allow {needed_s:g} s or more (--most-s), or make steps shorter (--step-s)"
            )


@dataclass(frozen=True, slots=True)
class Tried:
    """One rate: whether the goal held there, and with what figures."""

    rate: float
    held: Held
    measured_ms: float | None
    error_share: float
    reason: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """The rate up to which the goal holds: between `low` and `high` with a confidence of 95 %, None: nothing missed."""

    rate: float
    low: float
    high: float | None
    reason: str
    tried: tuple[Tried, ...]

    def as_json(self) -> dict[str, Any]:
        """For results."""
        return asdict(self)


def parsed_goal(text: str, errors: float = 0.001) -> Goal:
    """`p99=20ms` or `p99.9=0.1s`.

    Raises:
        ConfigInvalid: something else.
    """
    name, _, bound = text.partition("=")
    unit = "ms" if bound.endswith("ms") else "s" if bound.endswith("s") else ""
    try:
        value = float(bound.removesuffix(unit)) if unit else 0.0
    except ValueError:
        value = 0.0
    if name not in _PERCENTILES or not 0 < value < float("inf"):
        known = ", ".join(_PERCENTILES)
        raise ConfigInvalid(f"{text!r} is no goal such as p99=20ms; percentiles are {known}, units ms and s")
    return Goal(name, value * (1e3 if unit == "s" else 1.0), errors)


def at_rate(scenario: Scenario, goal: Goal, search: Search, rate: float, number: int) -> Scenario:
    """The scenario of one step: its users, at one rate, from another seed each time."""
    document = scenario.model_dump()
    document["shape"] = [
        {"name": "warm-up", "for_s": search.warm_up_s, "rate": rate, "warm_up": True},
        {"name": "step", "for_s": search.step_s, "rate": rate},
    ]
    name = {"p99.9": "p999_ms"}.get(goal.percentile, f"{goal.percentile}_ms")
    document["gates"] = {name: goal.bound_ms}
    document["chaos"] = []
    document["generator"] |= {"loop": "open", "arrivals": "poisson", "replay": None}
    document["generator"]["seed"] = scenario.generator.seed + number
    return Scenario.model_validate(document)


def judged(result: dict[str, Any], goal: Goal, rate: float) -> Tried:
    """Held where the binomial test is sure of it, missed where the figures say so, unsure between."""
    totals = result["totals"]
    measured = result["gates"][0]["measured"]
    errors = totals["error_share"] or 0.0
    if result["problems"]:
        return Tried(rate, "invalid", measured, errors, result["problems"][0])
    if errors > goal.errors:
        return Tried(rate, "missed", None, errors, f"{errors:.2%} errors")
    if measured is None or measured > goal.bound_ms:
        told = "endless" if measured is None else f"{measured:.3g} ms"
        return Tried(rate, "missed", measured, errors, f"{goal.percentile} {told}")
    answered, endless = totals["right"], unanswered(result)
    if most_over(answered + endless, goal.share) < over(result, goal) + endless:
        return Tried(rate, "unsure", measured, errors, f"{goal.percentile} {measured:.3g} ms, too few to be sure")
    return Tried(rate, "held", measured, errors, f"{goal.percentile} {measured:.3g} ms")


def over(result: dict[str, Any], goal: Goal) -> int:
    """Requests over the bound, by the histogram of the run; the bucket that the bound cuts counts as over."""
    return sum(count for _, ends, count in result["histogram"] if ends > goal.bound_ms * 1.001)


def unanswered(result: dict[str, Any]) -> int:
    """Who was never answered is over every bound, and in no bucket."""
    kinds = (SAID[kind] for kind in (UNANSWERED, LOST, UNSENT))
    return sum(result["totals"]["by_status"].get(kind, 0) for kind in kinds)


def find(ask: Callable[[float, int], Tried], goal: Goal, search: Search) -> Iterator[Tried | Capacity]:
    """Each step as it is over, and at the end the capacity.

    One step near the capacity says little: a queue's percentiles vary much there. So once the capacity is between two
    rates that are near, steps go on around it, and a line through the logarithms of what they measured says where the
    bound is.
    """
    tried: list[Tried] = []
    steps = int(search.most_s // (search.step_s + search.warm_up_s))
    rate, ended = search.first, ""
    for number in range(steps):
        step = ask(rate, number)
        tried.append(step)
        yield step
        ended = _end(tried, goal, search)
        if ended:
            break
        # Whoever else had the machine for a moment shall not end a search of minutes: such a step is made again.
        rate = rate if step.held == "invalid" else next_rate(tried, goal)
    yield capacity(tried, goal, ended or f"{search.most_s:g} s have room for no more than {steps} steps")


def capacity(tried: Sequence[Tried], goal: Goal, reason: str) -> Capacity:
    """What the steps say together."""
    low, high = bracket(tried)
    line = fitted(tried, goal)
    if line is not None:
        at, half = line
        return Capacity(at, at - half, at + half, reason, tuple(tried))
    return Capacity(low, low, high, reason, tuple(tried))


def believed(tried: Sequence[Tried]) -> list[Tried]:
    """Without steps that the generator could not keep up in, and misses that a later step at their rate overturns."""
    return [
        step
        for number, step in enumerate(tried)
        if step.held != "invalid" and not any(_overturns(later, step) for later in tried[number + 1 :])
    ]


def _overturns(later: Tried, step: Tried) -> bool:
    """Half of what was measured before, or no errors any more: near its capacity a queue does not vary as much."""
    if step.held != "missed" or later.rate != step.rate or later.held in ("missed", "invalid"):
        return False
    return step.measured_ms is None or later.measured_ms is None or 2 * later.measured_ms <= step.measured_ms


def bracket(tried: Sequence[Tried]) -> tuple[float, float | None]:
    """The lowest rate that was missed, and the highest below it that was not."""
    steps = believed(tried)
    high = min((step.rate for step in steps if step.held == "missed"), default=None)
    held = [step.rate for step in steps if step.held != "missed" and (high is None or step.rate < high)]
    return max(held, default=0.0), high


def fitted(tried: Sequence[Tried], goal: Goal) -> tuple[float, float] | None:
    """The rate at which the line reaches the bound, and half its interval; None while there is no such line."""
    low, high = bracket(tried)
    if high is None or not low or high / low > 1 + 2 * _NEAR:
        return None
    near = [
        (step.rate, step.measured_ms)
        for step in believed(tried)
        if step.measured_ms is not None and low * (1 - _AROUND) <= step.rate <= high * (1 + _AROUND)
    ]
    if len(near) < _LEAST_POINTS:
        return None
    rates, measured = np.array(near, np.float64).T
    slope, at_zero = np.polyfit(rates, np.log(measured), 1)
    at = (np.log(goal.bound_ms) - at_zero) / slope if slope > 0 else 0.0
    if not low * (1 - _AROUND) <= at <= high * (1 + _AROUND):
        return None
    scatter = np.sqrt(((np.log(measured) - (slope * rates + at_zero)) ** 2).sum() / (len(near) - 2))
    # Inverse prediction (Draper and Smith, Applied Regression Analysis, section 3.2): the slope is not known either.
    apart = (at - rates.mean()) ** 2 / ((rates - rates.mean()) ** 2).sum()
    return float(at), float(student(len(near) - 2) * scatter / slope * np.sqrt(1 / len(near) + apart))


def student(freedom: int) -> float:
    """Student's t that 95 % do not exceed on either side, for few points (Abramowitz and Stegun 26.7.5)."""
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def next_rate(tried: Sequence[Tried], goal: Goal) -> float:
    """Twice as much while nothing was missed, then the geometric middle, then around the line's answer.

    Once that is near what was missed, it is asked again: all that follows would be below it, and one step that others
    spoiled would be taken for the server's end.
    """
    low, high = bracket(tried)
    if high is None:
        return min(2 * low, MOST_RATE)
    if high <= low * (1 + _NEAR) and sum(step.rate == high for step in tried) == 1:
        return high
    line = fitted(tried, goal)
    if line is None and low and high / low > 1 + _NEAR:
        return math.sqrt(low * high)
    if not low:
        return high / 4
    middle = line[0] if line is not None else math.sqrt(low * high)
    return middle * _SPREAD[len(tried) % len(_SPREAD)]


def _end(tried: Sequence[Tried], goal: Goal, search: Search) -> str:
    """Why the search is over; empty while it is not."""
    low, high = bracket(tried)
    last = tried[-1]
    if last.held == "invalid":
        again = len(tried) < _INVALID or any(step.held != "invalid" for step in tried[-_INVALID:])
        return "" if again else f"the generator could not keep up at {last.rate:,.0f}/s: {last.reason}"
    if high is None:
        return "it holds at the highest rate that a load test may have" if low >= MOST_RATE else ""
    if not low:
        return "it does not even hold at 1/s" if high / 4 < 1 else ""
    line = fitted(tried, goal)
    if line is not None and line[1] <= search.within * line[0]:
        return f"known to {line[1] / line[0]:.1%}, which is as near as was asked for"
    # A server that refuses, or falls over, has no line: there the gap itself is what is known.
    sharp = all(step.measured_ms is None for step in tried if step.rate == high)
    if line is None and sharp and high / low - 1 <= search.within:
        return f"between {low:,.0f} and {high:,.0f}/s, which is as near as was asked for"
    return ""
