"""A batcher whose clock and run times a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from serving.backends.waiting import WaitNotes
from serving.batching.fair_share import Shares
from serving.batching.latency_model import Estimate, LatencyModel
from serving.batching.loop_lag import LoopLag
from serving.batching.micro_batcher import MicroBatcher
from serving.batching.pace import Pace
from serving.batching.row_queue import QueueLimits
from serving.batching.surroundings import Surroundings
from serving.deadline import Timer, Timers
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


@dataclass
class FakeTimer:
    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeTimers:
    """A clock that a test moves, and timers that fire when it has passed them."""

    def __init__(self) -> None:
        self.now = 0.0
        self._set: list[FakeTimer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = FakeTimer(when, callback)
        self._set.append(timer)
        return timer

    @property
    def pending(self) -> int:
        """How many may fire yet."""
        return sum(not timer.cancelled for timer in self._set)

    @property
    def next_at(self) -> float:
        """When the next one fires."""
        self._set = [timer for timer in self._set if not timer.cancelled]
        return min([timer.when for timer in self._set], default=float("inf"))

    def fire(self) -> None:
        """Time passes until the next one fires."""
        first = min(self._set, key=lambda timer: timer.when)
        self._set.remove(first)
        self.now = max(self.now, first.when)
        first.callback()

    def jump(self, seconds: float) -> None:
        """Nothing runs for so long, and then all that have become due fire late."""
        self.now += seconds
        due, self._set = [t for t in self._set if t.when <= self.now], [t for t in self._set if t.when > self.now]
        for timer in due:
            if not timer.cancelled:
                timer.callback()

    async def pass_on(self, seconds: float, between: Callable[[], None] = lambda: None) -> None:
        """So many seconds of a loop that has nothing else to do; `between` is called before each timer fires."""
        until = self.now + seconds
        await turns()
        while self.next_at <= until:
            self.now = max(self.now, self.next_at)
            between()
            self.fire()
            await turns()
        self.now = until
        between()


async def turns() -> None:
    """Until nothing is left to do now."""
    for _ in range(8):
        await asyncio.sleep(0)


QUICK = Estimate(1e-4, 1e-6, 1.0)


def batcher_of(
    limits: QueueLimits,
    clock: Callable[[], float],
    estimate: Estimate = QUICK,
    goal_s: float = 1e9,
    shares: Shares | None = None,
    *,
    waits: WaitNotes | None = None,
    timers: Timers | None = None,
) -> MicroBatcher:
    """Alone on its slots, or sharing those of `shares`; without `timers` none ever fires."""
    pace = Pace(LatencyModel(estimate), goal_s, limits.max_rows)
    alone = shares is None
    still = StillTimers(clock)
    around = Surroundings(
        clock, Request.reply, shares or Shares(alone=True), LoopLag(still), timers or still, alone, waits or WaitNotes()
    )
    return MicroBatcher("m/1", limits, pace, around)
