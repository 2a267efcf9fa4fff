"""What the control API answers about the shadow stage of a rollout."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Copies(BaseModel):
    """What became of copies for the shadow; dropped ones found no room, no time or no replica."""

    ok: int
    failed: int
    dropped: int


class Decisions(BaseModel):
    """Pairs that decide the same, and otherwise."""

    same: int
    otherwise: int


class Deltas(BaseModel):
    """Pairs whose scores are so far apart at most; null is any distance."""

    up_to: float | None
    pairs: int


class RunPairs(BaseModel):
    """Pairs that ran for so many microseconds at most on either side; null is longer than any bound."""

    stable_us: int | None
    shadow_us: int | None
    pairs: int


class Runs(BaseModel):
    """Times of pairs, together, and quantiles of each side."""

    pairs: list[RunPairs]
    stable: dict[str, int | None]
    shadow: dict[str, int | None]


class ShadowGateSeen(BaseModel):
    """`evidence` from `needed` on stops the canary; from a `kept` of 20 on the limit is shown to be kept."""

    name: str
    largest: float
    events: int
    pairs: int
    share_between: list[float]
    evidence: float
    needed: float
    kept: float
    sentence: str


class Side(BaseModel):
    """What one version answered; null is no number, or nothing that decides."""

    score: float | None
    decision: int | None


class DifferenceSeen(BaseModel):
    """One of the pairs that differ most; `inputs` only where the plan says `show_features`."""

    at_s: float
    request_id: str
    stable: Side
    shadow: Side
    delta: float | None
    flipped: bool
    inputs: dict[str, Any] | None = None


class ShadowSeen(BaseModel):
    """The shadow stage: copies of `percent` of the requests, and how the answers differ."""

    percent: float
    least_s: int
    most_s: int
    copies: Copies
    decisions: Decisions
    deltas: list[Deltas]
    runs: Runs
    gates: list[ShadowGateSeen]
    differences: list[DifferenceSeen]
