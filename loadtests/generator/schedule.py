"""When each request of an open loop is due: phases of a rate each, drawn from a seed, the same again each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
Process = Literal["poisson", "constant", "gamma"]


@dataclass(frozen=True, slots=True)
class Phase:
    """So many requests a second for so long; its figures are told apart by its name.

    With `to`, the rate goes there in a straight line.
    """

    name: str
    rate: float
    seconds: float
    to: float | None = None

    @property
    def last_rate(self) -> float:
        """Requests a second at its end."""
        return self.rate if self.to is None else self.to

    @property
    def expected(self) -> float:
        """Requests in the whole phase, on average."""
        return (self.rate + self.last_rate) / 2 * self.seconds


@dataclass(frozen=True, slots=True)
class Span:
    """When a phase begins and ends, in seconds since the first phase began."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How gaps vary: `poisson` is independent callers, `constant` equal gaps, `gamma` bursts.

    `variation` is the standard deviation of gamma's gaps over their mean: 1 is Poisson again, 3 is bursty.
    """

    process: Process = "poisson"
    variation: float = 1.0


def spans(phases: Sequence[Phase]) -> list[Span]:
    """Phases follow one another without a gap."""
    ends = np.cumsum([phase.seconds for phase in phases]).tolist()
    return [Span(phase.name, end - phase.seconds, end) for phase, end in zip(phases, ends, strict=True)]


def arrivals(phases: Sequence[Phase], seed: int, how: Arrivals | None = None) -> Times:
    """Due times in order; equal for equal phases and seeds.

    Drawn at one request a unit of time, and brought to where the area below the rates is that time (Cinlar,
    Introduction to Stochastic Processes, section 4.7: so a Poisson process of any rate is made).
    """
    areas = np.concatenate([[0.0], np.cumsum([phase.expected for phase in phases])])
    units = _units(float(areas[-1]), np.random.default_rng(seed), how or Arrivals())
    parts = [np.zeros(0)]
    for number, (phase, span) in enumerate(zip(phases, spans(phases), strict=True)):
        low, high = np.searchsorted(units, areas[number : number + 2])
        within = units[low:high] - areas[number]
        # What rounding adds must not bring a request into the next phase.
        parts.append(np.minimum(span.began + _at(phase, within), span.ended))
    return np.concatenate(parts)


def _units(area: float, random: np.random.Generator, how: Arrivals) -> Times:
    if how.process == "constant":
        return np.arange(np.ceil(area - 1e-9), dtype=np.float64)
    if how.process == "poisson":
        # Given their number, the arrivals of a Poisson process are independent and uniform (Ross, Stochastic
        # Processes, theorem 2.3.1): no loop over gaps.
        return np.sort(random.uniform(0, area, random.poisson(area)))
    shape = 1 / how.variation**2
    drawn: list[Times] = [np.zeros(1)]
    while drawn[-1][-1] < area:
        count = int(area - drawn[-1][-1]) + 100
        drawn.append(drawn[-1][-1] + np.cumsum(random.gamma(shape, 1 / shape, count)))
    times = np.concatenate(drawn[1:])
    return times[times < area]


def _at(phase: Phase, area: Times) -> Times:
    """When the area below a phase's rate, from its begin on, is so large: the root of a parabola."""
    slope = (phase.last_rate - phase.rate) / phase.seconds
    if slope == 0:
        return area / phase.rate if phase.rate else area
    root = np.sqrt(np.maximum(phase.rate**2 + 2 * slope * area, 0))
    # This form loses no digits where the slope is small.
    at: Times = 2 * area / np.maximum(phase.rate + root, 1e-300)
    return at


def merged(streams: Sequence[Times]) -> tuple[Times, NDArray[np.intp]]:
    """The due times of several streams in one order, and for each the number of its stream."""
    due = np.concatenate([np.zeros(0), *streams])
    of = np.repeat(np.arange(len(streams)), [len(times) for times in streams])
    # Stable: what is due at the same moment keeps the order of the streams.
    order = np.argsort(due, kind="stable")
    return due[order], of[order]
