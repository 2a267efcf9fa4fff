"""When each request of an open loop is due: phases of a rate each, drawn from a seed, the same again each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Phase:
    """So many requests a second for so long; its figures are told apart by its name."""

    name: str
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Span:
    """When a phase begins and ends, in seconds since the first phase began."""

    name: str
    began: float
    ended: float


def spans(phases: Sequence[Phase]) -> list[Span]:
    """Phases follow one another without a gap."""
    ends = np.cumsum([phase.seconds for phase in phases]).tolist()
    return [Span(phase.name, end - phase.seconds, end) for phase, end in zip(phases, ends, strict=True)]


def arrivals(phases: Sequence[Phase], seed: int, *, poisson: bool = True) -> Times:
    """Due times in order: a Poisson process, or equal gaps; equal for equal phases and seeds."""
    random = np.random.default_rng(seed)
    parts = [np.zeros(0)]
    for phase, span in zip(phases, spans(phases), strict=True):
        if poisson:
            # Given their number, the arrivals of a Poisson process are independent and uniform (Ross, Stochastic
            # Processes, theorem 2.3.1): no loop over gaps.
            count = random.poisson(phase.rate * phase.seconds)
            parts.append(np.sort(random.uniform(span.began, span.ended, count)))
        else:
            parts.append(span.began + np.arange(round(phase.rate * phase.seconds)) / phase.rate)
    return np.concatenate(parts)


def merged(streams: Sequence[Times]) -> tuple[Times, NDArray[np.intp]]:
    """The due times of several streams in one order, and for each the number of its stream."""
    due = np.concatenate([np.zeros(0), *streams])
    of = np.repeat(np.arange(len(streams)), [len(times) for times in streams])
    # Stable: what is due at the same moment keeps the order of the streams.
    order = np.argsort(due, kind="stable")
    return due[order], of[order]
