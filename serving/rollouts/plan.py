"""The plan of a rollout: its steps, its gates, and what happens where nothing can be decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from serving.rollouts.gate import Gate, Kind, Margin
from serving.rollouts.hook import Hook
from serving.rollouts.isolation import Isolation

MINUTE_S = 60
# Requests a minute from which on steps may be short, and below which they have to be few and long.
FAST_PER_MIN = 6_000
LOW_PER_MIN = 100


class Otherwise(StrEnum):
    """What happens at the end of a step's time where nothing was decided."""

    PAUSE = "pause"
    ABORT = "abort"
    ADVANCE = "advance"


@dataclass(frozen=True, slots=True)
class Step:
    """A weight that is kept for `least_s` at least and, undecided, for `most_s` at most.

    With `approval` somebody has to agree before it begins.
    """

    weight_bp: int
    least_s: int
    most_s: int
    approval: bool = False


@dataclass(frozen=True, slots=True)
class ShadowGate:
    """Pairs of which a share of `largest` is allowed; `alpha` is the chance that one that keeps to it is stopped."""

    largest: float
    alpha: float = 0.01


DEFAULT_MARGIN = 0.05
# A version that answers otherwise may be meant to: without limits of the plan, only copies that fail stop one.
DEFAULT_SHADOW_GATES: Mapping[str, ShadowGate] = MappingProxyType({"errors": ShadowGate(0.01)})


@dataclass(frozen=True, slots=True)
class ShadowStage:
    """Before any traffic: copies of `percent` of the requests go to the canary, for `duration_s` at least.

    Undecided it lasts `most_s`. The gate `deltas` counts scores that are more than `margin` apart. `show_features`
    shows the inputs of those pairs that differ most.
    """

    percent: float
    duration_s: int
    most_s: int = 7_200
    gates: Mapping[str, ShadowGate] = field(default_factory=lambda: DEFAULT_SHADOW_GATES)
    margin: float = DEFAULT_MARGIN
    show_features: bool = False


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What a plan says of a gate; `margins` are of the rates that a promotion asks for, in the order of `TAILS`."""

    alpha: float
    allowed: float = 1.0
    margins: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class GuardrailSettings:
    """The whole model's rates may be `allowed` times what they were before the start.

    Five: rates of a day lie within a factor of four, and the start may be at the best of its hours.
    """

    allowed: float = 5.0
    alpha: float = 0.001


# Shares above the bounds nearest to these quantiles are what a promotion asks about latency.
TAILS = (0.90, 0.99)
# The chances of stopping a harmless canary add up to 0.046. Latency is allowed 1.25: a canary has batches and queues of
# its own, so that an identical model is not identical in service.
DEFAULT_GATES: Mapping[str, GateSettings] = MappingProxyType(
    {
        "errors": GateSettings(0.02, margins=((1.75, 0.005),)),
        "latency": GateSettings(0.01, 1.25, margins=((1.5, 0.03), (2.0, 0.01))),
        "scores": GateSettings(0.01),
        "features_missing": GateSettings(0.0025),
        "outputs_invalid": GateSettings(0.0025),
        "split": GateSettings(0.001),
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a rollout keeps to; made by `plan_file.parse` of what somebody wrote."""

    steps: tuple[Step, ...]
    gates: Mapping[str, GateSettings] = field(default_factory=lambda: DEFAULT_GATES)
    guardrail: GuardrailSettings | None = GuardrailSettings()
    shadow: ShadowStage | None = None
    min_requests: int = 50
    min_events: int = 5
    on_inconclusive: Otherwise = Otherwise.PAUSE
    on_no_data: Otherwise = Otherwise.PAUSE
    expect_drift: bool = False
    webhooks: tuple[Hook, ...] = ()
    isolation: Isolation = field(default_factory=Isolation)


def default_steps(requests_per_min: float) -> tuple[Step, ...]:
    """Steps that fit a model's traffic; 100 % follows the last one."""
    if requests_per_min < LOW_PER_MIN:
        return _steps((1_000, 2_500, 5_000), (10, 120), (30, 960))
    first, last = ((1, 30), (3, 60)) if requests_per_min >= FAST_PER_MIN else ((5, 60), (10, 120))
    return _steps((100, 500, 1_000, 2_500, 5_000), first, last)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of the stable version when a rollout starts: it fixes the bins of the gates.

    `tails` are the latency bounds (their places) nearest to the quantiles of `TAILS`.
    """

    latency_bounds: int
    tails: tuple[int, int]
    score_bins: int = 10


def gates_of(plan: Plan, measured: Measured) -> list[Gate]:
    """The gates of a plan, in the order of the plan."""
    kinds = {"latency": Kind.LATENCY, "scores": Kind.DRIFT, "split": Kind.SPLIT}
    bins = {"latency": measured.latency_bounds, "scores": measured.score_bins}
    places = {"latency": measured.tails}
    return [
        Gate(
            name,
            kinds.get(name, Kind.RATE),
            settings.alpha,
            bins.get(name, 1),
            settings.allowed,
            _margins(settings, places.get(name, (0,))),
        )
        for name, settings in plan.gates.items()
        if bins.get(name, 1) > 0
    ]


def tails_of(shares_above: Sequence[float]) -> tuple[int, int]:
    """The bounds above which the shares of the stable version's answers are nearest to a tenth and to a hundredth."""
    ninety, ninety_nine = (
        min(range(len(shares_above)), key=lambda place: abs(shares_above[place] - (1 - quantile))) for quantile in TAILS
    )
    return ninety, ninety_nine


def _margins(settings: GateSettings, places: Sequence[int]) -> tuple[Margin, ...]:
    found = zip(places, settings.margins, strict=False)
    return tuple(Margin(place, ratio, excess) for place, (ratio, excess) in found)


def _steps(weights: Sequence[int], each_min: tuple[int, int], last_min: tuple[int, int]) -> tuple[Step, ...]:
    times = [each_min] * (len(weights) - 1) + [last_min]
    return tuple(
        Step(weight, least * MINUTE_S, most * MINUTE_S) for weight, (least, most) in zip(weights, times, strict=True)
    )
