"""From the stages that people write to phases of a rate each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loadtests.generator.schedule import Phase
from loadtests.scenario.scenario import Stage

# A day's curve is drawn with so many straight lines.
_PIECES = 48


@dataclass(frozen=True, slots=True)
class StageSpan:
    """When a stage begins and ends, in seconds since the load began."""

    name: str
    began: float
    ended: float
    warm_up: bool


def phases(stages: Sequence[Stage]) -> list[Phase]:
    """In order; a stage of several phases gives each its name."""
    return [
        phase for number, stage in enumerate(stages) for phase in _pieces(stage, stage.name or f"stage-{number + 1}")
    ]


def stage_spans(stages: Sequence[Stage]) -> list[StageSpan]:
    """Stages follow one another without a gap."""
    spans, began = [], 0.0
    for number, stage in enumerate(stages):
        name = stage.name or f"stage-{number + 1}"
        spans.append(StageSpan(name, began, began + stage.for_s, stage.warm_up))
        began += stage.for_s
    return spans


def _pieces(stage: Stage, name: str) -> Iterator[Phase]:
    if stage.to is None:
        yield Phase(name, stage.rate, stage.for_s)
    elif stage.steps is not None:
        rise = (stage.to - stage.rate) / (stage.steps - 1)
        for step in range(stage.steps):
            yield Phase(name, stage.rate + step * rise, stage.for_s / stage.steps)
    elif stage.curve == "day":
        yield from _day(stage.rate, stage.to, stage.for_s, name)
    else:
        yield Phase(name, stage.rate, stage.for_s, stage.to)


def _day(night: float, noon: float, seconds: float, name: str) -> Iterator[Phase]:
    """A cosine from midnight to midnight."""
    rates = [night + (noon - night) * (1 - math.cos(2 * math.pi * piece / _PIECES)) / 2 for piece in range(_PIECES + 1)]
    for low, high in pairwise(rates):
        yield Phase(name, low, seconds / _PIECES, high)
