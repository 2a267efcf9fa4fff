"""A batcher whose clock and run times a test sets."""

from __future__ import annotations

from collections.abc import Callable

from serving.backends.waiting import WaitNotes
from serving.batching.fair_share import Shares
from serving.batching.latency_model import Estimate, LatencyModel
from serving.batching.loop_lag import LoopLag
from serving.batching.micro_batcher import MicroBatcher
from serving.batching.pace import Pace
from serving.batching.row_queue import QueueLimits
from serving.batching.surroundings import Surroundings
from serving.deadline import Timer
from serving.inference import Request


class NoTimer:
    """A timer that never fires."""

    def cancel(self) -> None:
        """It never would."""


class StillTimers:
    """Timers of a loop that is never behind."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.time = clock

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        del when, callback
        return NoTimer()


QUICK = Estimate(1e-4, 1e-6, 1.0)


def batcher_of(
    limits: QueueLimits,
    clock: Callable[[], float],
    estimate: Estimate = QUICK,
    goal_s: float = 1e9,
    shares: Shares | None = None,
    *,
    waits: WaitNotes | None = None,
) -> MicroBatcher:
    """Alone on its slots, or sharing those of `shares`."""
    pace = Pace(LatencyModel(estimate), goal_s, limits.max_rows)
    alone = shares is None
    lag = LoopLag(StillTimers(clock))
    around = Surroundings(clock, Request.reply, shares or Shares(alone=True), lag, alone, waits or WaitNotes())
    return MicroBatcher("m/1", limits, pace, around)
