"""The shadow stage in sentences with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from serving.rollouts.explain import number
from serving.rollouts.no_harm import ALPHA
from serving.rollouts.plan import Plan, ShadowStage

if TYPE_CHECKING:
    from serving.rollouts.shadow import GateReading

_WORDS = {
    "flips": "pairs decide otherwise",
    "deltas": "pairs have scores further apart than the margin",
    "errors": "copies failed",
}


def of_reading(reading: GateReading) -> str:
    """What was seen, what is allowed, and how much evidence that is, both ways."""
    what = _WORDS[reading.name]
    if not reading.pairs:
        return f"{reading.name}: no pair could be compared ({_why_none(reading.name)})"
    share = 100 * reading.events / reading.pairs
    seen = f"{reading.events:,} of {reading.pairs:,} {what} ({share:.2g} %), where {100 * reading.largest:g} % may"
    if reading.against >= reading.needed:
        return f"{seen}; evidence {number(reading.against)}, where {number(reading.needed)} decide"
    against = f"evidence against it {number(reading.against)} of {number(reading.needed)} needed"
    if reading.shown:
        return f"{seen}; {against}; shown to be fewer"
    return f"{seen}; {against}; that they are fewer: {number(reading.kept)} of {1 / ALPHA:g} needed"


def too_early(stage: ShadowStage, elapsed_s: float, pairs: int) -> str:
    """How long it lasts yet."""
    return (
        f"{elapsed_s / 60:.1f} of at least {stage.duration_s / 60:g} min of the shadow stage are over, {pairs:,} copies"
    )


def few(pairs: int, plan: Plan) -> str:
    """There is nothing to judge by."""
    return f"{pairs} of at least {plan.min_requests} copies ran on the shadow"


def passed(readings: Sequence[GateReading], pairs: int) -> str:
    """Why it goes on."""
    names = ", ".join(reading.name for reading in readings)
    return f"{pairs:,} copies ran on the shadow, and all limits were kept: {names}"


def _why_none(name: str) -> str:
    if name == "errors":
        return "no copy ran"
    return "the model's score, and for flips its threshold, have to be named in model.yaml"
