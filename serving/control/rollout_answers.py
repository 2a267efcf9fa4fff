"""What the control API answers about rollouts, as its OpenAPI document shows it, and what it is asked."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from serving.control.shadow_answers import ShadowSeen
from serving.rollouts.plan_file import KEYS

Who = Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f]*$", description="Who wants it, for the audit.")]


class NewRollout(BaseModel):
    """A version that is served, and by what plan it takes over."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"canary": 2, "dry_run": True}]})

    canary: int = Field(ge=1, le=2**53 - 1, description="Number of the version.")
    plan: dict[str, Any] = Field(default_factory=dict, description=f"Any of the keys {', '.join(KEYS)}.")
    sticky: bool | None = Field(
        None, description="Count keys once (true) or each request (false); null finds out from the first requests."
    )
    dry_run: bool = Field(default=False, description="Only say whether it could begin.")
    by: Who = ""


class Arms(BaseModel):
    """A number of each arm."""

    canary: int
    stable: int


class StepSeen(BaseModel):
    """One step of the plan in force; 100 % follows the last one."""

    weight_percent: float
    least_s: int
    most_s: int
    approval: bool


class RolloutLine(BaseModel):
    """Where a rollout stands; `sentence` says why, with the numbers that decided."""

    id: str
    model: str
    stable: int
    canary: int
    phase: str = Field(
        description="measuring, shadow, step, paused, awaiting_approval, promoted, rolled_back or aborted."
    )
    over: bool
    frozen: bool
    step: int
    steps: list[StepSeen]
    weight_percent: float
    started_s: float
    since_s: float
    by: str
    runs: str = Field(description="Where the canary runs: in replicas of its own, or beside the stable version.")
    outcome: str
    reason: str
    sentence: str


class MarginSeen(BaseModel):
    """A promotion asks for fewer than `ratio` times as many, or an `excess` of their share below this."""

    over_ms: float | None = Field(description="Of latency: the bound of the runs.")
    ratio: float
    excess: float


class JudgedBy(BaseModel):
    """What a gate counts, and how many times as often (`allowed`) it may happen on the canary.

    A canary that keeps to that is stopped with a chance of `alpha` at most.
    """

    counts: str = Field(description="requests, keys (the first of each), or runs (where keys are counted, one a key).")
    key_share: float | None = Field(description="Share of the keys of which it is counted; null where requests are.")
    allowed: float
    alpha: float
    bounds_ms: list[float] = Field(description="Of latency: bounds, from what the stable version took before.")
    margins: list[MarginSeen]
    sentence: str


class GuardedBy(BaseModel):
    """Which share (`rate`) of the model's requests, or runs, is allowed: `allowed` times an upper bound of before."""

    allowed: float
    alpha: float
    rate: float
    over_ms: float | None = Field(description="Of slow: the bound of runs; of over_goal: the model's latency goal.")
    sentence: str


class GateSeen(BaseModel):
    """`evidence` from `needed` on decides; `ratio` is how many times as often it happens on the canary.

    Bounds hold at all times at once with 95 %. Of latency `events` and `requests` are runs, those that are evidence.
    """

    name: str
    evidence: float
    needed: float
    events: Arms
    requests: Arms
    ratio: float
    ratio_between: list[float | None]
    rates_between: dict[str, list[float]] = Field(description="Of the share of requests with it, by arm.")
    sentence: str
    judged_by: JudgedBy


class OfAll(BaseModel):
    """Of all requests of the model, whichever version they went to; slow and over_goal are of their runs."""

    events: int
    requests: int


class GuardSeen(BaseModel):
    """Is the whole model worse than before the start? `now` is the last minute; `evidence` from `needed` on pauses."""

    name: str = Field(
        description="errors; slow: runs over the rarer of the two latency bounds; over_goal: runs with answers that "
        "took longer in all than the model's latency goal, where it has one."
    )
    evidence: float
    needed: float
    now: OfAll
    before: OfAll
    sentence: str
    judged_by: GuardedBy


class RolloutSeen(RolloutLine):
    """`said` is the last verdict, `lacking` what a promotion still needs to be shown."""

    said: str
    counted_by: str
    requests: Arms
    step_requests: Arms
    late_requests: int
    key_sample: float | None = Field(
        description="Share of the keys that is judged by what every key has; null where requests are counted."
    )
    gates: list[GateSeen]
    guardrail: list[GuardSeen]
    lacking: list[str]
    shadow: ShadowSeen | None = None


class VerdictSeen(BaseModel):
    """A rollout in a few words, for other rollout controllers."""

    rollout: str
    model: str
    stable: int
    canary: int
    verdict: str = Field(description="pass, fail, inconclusive, error, or waiting while nothing is decided.")
    phase: str
    over: bool
    step: int
    weight_percent: float
    reason: str
    sentence: str


class Asker(BaseModel):
    """What Flagger sends with its webhooks; nothing of it changes the answer."""

    name: str = ""
    namespace: str = ""
    phase: str = ""
    metadata: dict[str, str] | None = None


class Rollouts(BaseModel):
    """The newest first."""

    rollouts: list[RolloutLine]


class HistoryEntry(BaseModel):
    """Something that was done; `replayed` is the verdict that its counts give now, null where none was taken.

    `same` is null where there was none, and where `replayed` says why it cannot be taken again.
    """

    at_s: float
    who: str
    what: str
    step: int
    why: str
    replayed: str | None
    same: bool | None


class History(BaseModel):
    """The oldest first."""

    entries: list[HistoryEntry]


class Traffic(BaseModel):
    """Requests of a model since its session began, without those that the caller got wrong or chose a version for."""

    model: str
    requests: int
    errors: int
    runs: int = Field(description="In which they were answered: fewer than requests where these run together.")
    workers: int = Field(description="Gateway workers of the session that can predict now.")
    at_s: float = Field(description="Seconds since 1970; asked twice, the difference is what came meanwhile.")


class Frozen(BaseModel):
    """Whether rollouts may change."""

    frozen: bool


class Pinned(BaseModel):
    """Which version answers every request of a model now."""

    model: str
    version: int
