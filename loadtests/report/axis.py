"""Axes of charts: where a value lies between 0 and 1, and where ticks stand with what label."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Ticks = list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Axis:
    """`place` brings a value to 0..1; ticks are values with their labels."""

    label: str
    place: Callable[[float], float]
    ticks: Ticks


def linear(label: str, low: float, high: float, most: int = 6) -> Axis:
    """From a round number to a round number."""
    step = _round_step((high - low) / most or 1.0)
    begins, ends = math.floor(low / step) * step, math.ceil(high / step) * step
    if ends <= begins:
        ends = begins + step
    count = round((ends - begins) / step)
    ticks = [(begins + number * step, short(begins + number * step)) for number in range(count + 1)]
    return Axis(label, lambda value: (value - begins) / (ends - begins), ticks)


def logarithmic(label: str, values: Iterable[float]) -> Axis:
    """Decades around all values above 0."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    high = max(high, low + 1)
    ticks = [(10.0**power, short(10.0**power)) for power in range(low, high + 1)]
    if high - low <= 2:  # noqa: PLR2004 - few decades have room for numbers between
        between = [step * 10.0**power for power in range(low, high) for step in (2, 5)]
        ticks = sorted([*ticks, *((value, short(value)) for value in between)])
    return Axis(label, lambda value: (math.log10(max(value, 10.0**low)) - low) / (high - low), ticks)


def rarity(label: str, last: float) -> Axis:
    """Shares towards 1: 90 %, 99 % and 99.9 % are equally far apart."""
    nines = max(1, math.ceil(-math.log10(max(1 - last, 1e-6)) - 1e-9))
    shares = [0.0, *(1 - 10.0**-power for power in range(1, nines + 1))]
    ticks = [(share, f"{share * 100:.10g} %") for share in shares]
    return Axis(label, lambda share: min(-math.log10(max(1 - share, 1e-9)) / nines, 1.0), ticks)


def short(value: float) -> str:
    """As few characters as say it."""
    if abs(value) >= 10_000:  # noqa: PLR2004
        return f"{value / 1000:g}k"
    return f"{value:.4g}"


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= rough * 0.999)
