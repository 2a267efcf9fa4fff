"""What was counted of a trial's arms, as it is handed on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from serving.routing.table import Trial

_NO_RUNS: Mapping[str, tuple[int, int, int]] = MappingProxyType({})


class First(NamedTuple):
    """A key's event: it counts as `event` if the key is not among those `seen` yet, by any worker.

    `sampled`: the key is one of the trial's sample. `step_only`: it counts as one of the step, and not of the rollout.
    """

    seen: str
    event: str
    key: int
    sampled: bool
    step_only: bool = False


class Difference(NamedTuple):
    """What a shadow answered otherwise, as `text` for people, and by how much: the larger, the sooner it is shown."""

    size: float
    text: str


class Took(NamedTuple):
    """How long a batch of so many rows ran, and by the loop's clock when it was over; `leads` as `Arm.leads` says."""

    run_s: float
    landed_at: float
    rows: int
    leads: bool


class Tally(NamedTuple):
    """What one arm saw since the last time it was taken.

    `runs` are counted three times each: as evidence of the rollout, for the proof of the step, and all that there were.
    `crashes` are batches that a replica of its version took with it; `lost` events of keys found no room.
    `differences` are the largest that its shadow showed.
    """

    trial: Trial
    canary: bool
    requests: int
    events: Mapping[str, int]
    firsts: tuple[First, ...]
    crashes: int
    lost: int
    differences: tuple[Difference, ...] = ()
    runs: Mapping[str, tuple[int, int, int]] = _NO_RUNS
