"""Two results side by side: how much more or less of each figure, as an interval and not just a ratio."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import ConfigInvalid

_DRAWS = 4_000
# Neighbouring seconds are alike: they are drawn in blocks.
_BLOCK = 5
_LEAST_SECONDS = 10
_TAILS = (2.5, 97.5)
# Where a scenario does not say how long its requests were waited for.
_TIMEOUT_S = 5.0

Result = Mapping[str, Any]
Second = Mapping[str, Any]
# Along the last axis.
_Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of one figure, the second result's over the first's, with an interval of 95 %."""

    figure: str
    first: float
    second: float
    ratio: float
    low: float
    high: float

    @property
    def word(self) -> str:
        """What can be said of it."""
        if self.low <= 1 <= self.high:
            return "no difference seen"
        return "more" if self.low > 1 else "less"

    def as_json(self) -> dict[str, Any]:
        """With its word."""
        return {**asdict(self), "word": self.word}


def compared(first: Result, second: Result, seed: int = 1) -> list[Ratio]:
    """Latency of a typical second (the geometric mean over seconds) and rates, by a moving-block bootstrap.

    Source: Künsch 1989, The jackknife and the bootstrap for general stationary observations. It knows how much the
    seconds of a run differ; how much runs do, only more runs tell. A second whose percentile has no end, as too many
    were never answered, counts with the longest that anybody was waited for: left out, a server that hangs now and
    then would look like one that does not.

    Raises:
        ConfigInvalid: too few seconds were measured.
    """
    random = np.random.default_rng(seed)
    one, other = ((_measured(result), longest_ms(result)) for result in (first, second))
    figures: tuple[tuple[str, str, _Statistic], ...] = (
        ("p50 ms", "p50_ms", _geometric), ("p99 ms", "p99_ms", _geometric), ("p99.9 ms", "p99.9_ms", _geometric),
        ("right/s", "right_per_second", _mean),
    )  # fmt: skip
    return [
        _ratio(name, _values(*one, key), _values(*other, key), statistic, random) for name, key, statistic in figures
    ]


def unfit(first: Result, second: Result) -> list[str]:
    """Which of them says nothing of its server."""
    named = (("first", first), ("second", second))
    return [f"the {word} result is invalid" for word, result in named if result["verdict"] == "invalid"]


def longest_ms(result: Result) -> float:
    """The longest that anybody was waited for, or was known to wait."""
    waited_ms = float(result["scenario"]["generator"].get("timeout_s", _TIMEOUT_S)) * 1e3
    known = (float(one["p99.9_ms"]) for one in result["timeline"] if one["p99.9_ms"] is not None)
    return max([waited_ms, *known])


def differences(first: Result, second: Result) -> list[str]:
    """What makes two results hard to compare: another load, another machine, an invalid one."""
    told = []
    for word, result in (("first", first), ("second", second)):
        if result["verdict"] in ("invalid", "interrupted"):
            told.append(f"the {word} result is {result['verdict']}")
        points = result["timeline"]
        if endless := sum(one["p99_ms"] is None and _endless(one) for one in points):
            told.append(
                f"p99 of {endless} in {len(points)} pieces of the {word} result has no end: "
                f"each counts as {longest_ms(result):,.0f} ms"
            )
    told += [
        f"{name} differs: {first['environment'].get(name)} and {second['environment'].get(name)}"
        for name in ("cpu", "cores", "python", "sluice")
        if first["environment"].get(name) != second["environment"].get(name)
    ]
    told += [
        f"{name} of the scenarios differ"
        for name in ("users", "shape", "generator")
        if first["scenario"][name] != second["scenario"][name]
    ]
    return told


def _measured(result: Result) -> list[Second]:
    """Seconds of the load without its warm-up; one with stages of different rates has to be compared with its like."""
    warm = [(one["began_s"], one["began_s"] + one["seconds"]) for one in result["stages"] if one["warm_up"]]
    seconds = [one for one in result["timeline"] if not any(begins <= one["at_s"] < ends for begins, ends in warm)]
    if len(seconds) < _LEAST_SECONDS:
        raise ConfigInvalid(
            f"{result['name']} was measured for {len(seconds)} s; an interval needs at least {_LEAST_SECONDS}"
        )
    return seconds


def _values(seconds: Sequence[Second], longest: float, key: str) -> NDArray[np.float64]:
    """A second in which nobody was answered rightly, but somebody was refused, has no latency."""
    told = [one for one in seconds if one[key] is not None or _endless(one)]
    return np.array([longest if one[key] is None else one[key] for one in told], np.float64)


def _endless(second: Second) -> bool:
    """Whether a percentile that is missing is one without an end; results of before tell it by the others alone."""
    return second.get("never_answered", 0) > 0 or second["p50_ms"] is not None


def _ratio(
    name: str,
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    statistic: _Statistic,
    random: np.random.Generator,
) -> Ratio:
    if not len(one) or not len(other):
        raise ConfigInvalid(f"one of the results has no {name}: nothing was answered")
    first, second = float(statistic(one)), float(statistic(other))
    drawn = statistic(_drawn(other, random)) / np.maximum(statistic(_drawn(one, random)), 1e-12)
    low, high = np.percentile(drawn, _TAILS)
    return Ratio(name, first, second, second / first if first else math.inf, float(low), float(high))


def _drawn(values: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """One row a draw, each of as many values as there are."""
    size = min(_BLOCK, len(values))
    begins = random.integers(0, len(values) - size + 1, (_DRAWS, -(-len(values) // size)))
    drawn: NDArray[np.float64] = values[(begins[:, :, None] + np.arange(size)).reshape(_DRAWS, -1)[:, : len(values)]]
    return drawn


def _geometric(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.exp(np.log(np.maximum(values, 1e-9)).mean(axis=-1))
    return mean


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = values.mean(axis=-1)
    return mean
