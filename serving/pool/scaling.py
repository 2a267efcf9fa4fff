"""How many replicas a pool should have: pure decisions from how long rows wait, and how busy the replicas are.

More, when rows wait for more than half of what their goal of latency leaves beside a run, for as long as
`up_delay_s`; at most twice as many at once. One fewer, when nobody waits and the others could do the work with room to
spare, for as long as `down_delay_s`. Between the two nothing happens, and where nothing is known neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from serving.pool.replica_load import ReplicaLoad

# Of what rows may wait. Admission holds waiting below 1, so that overload shows well before.
UP_AT = 0.5
DOWN_AT = 0.1
# Whoever waits while replicas idle waits for something else, which more of them would not mend.
IDLE = 0.2
# How busy those that stay may be once one has gone.
FULL = 0.6
_MOST_AT_ONCE = 2.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Fewest and most replicas, and for how long more or fewer must be called for."""

    fewest: int
    most: int
    up_delay_s: float
    down_delay_s: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A pool at one moment: replicas wished so far, those that run, and what each of them that is known reported."""

    wished: int
    running: int
    loads: Sequence[ReplicaLoad]


@dataclass(frozen=True, slots=True)
class Called:
    """Since when more, or fewer, replicas are called for, and how many ran then; None while they are not."""

    more_since: float | None = None
    fewer_since: float | None = None
    running: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """`wished` replicas from now on, and why where that is another number."""

    wished: int
    called: Called
    reason: str = ""


def called_for(seen: Seen, bounds: Bounds) -> int:
    """Replicas that this moment calls for, within the bounds; more waiting never calls for fewer."""
    return min(max(_unbounded(seen), bounds.fewest), bounds.most)


def decide(seen: Seen, called: Called, now: float, bounds: Bounds) -> Decision:
    """The number changes only once more, or fewer, were called for without a break; `now` is monotonic."""
    wanted = called_for(seen, bounds)
    if seen.running != called.running:
        # Replicas came or went: what was seen before says nothing about those that run now.
        called = Called(running=seen.running)
    if wanted == seen.wished:
        return Decision(seen.wished, Called(running=seen.running))
    more = wanted > seen.wished
    since = called.more_since if more else called.fewer_since
    since = now if since is None else since
    if now - since < (bounds.up_delay_s if more else bounds.down_delay_s):
        waiting = Called(since, None, seen.running) if more else Called(None, since, seen.running)
        return Decision(seen.wished, waiting)
    return Decision(wanted, Called(running=seen.running), _reason(seen, wanted, bounds))


def _unbounded(seen: Seen) -> int:
    told = [load for load in seen.loads if load.waits is not None]
    if not told or not seen.running:
        return seen.wished
    pressure = max(_pressure(load) for load in told)
    busy = sum(load.busy for load in told)
    if pressure >= UP_AT and busy >= IDLE * len(told):
        times = min(pressure / UP_AT, _MOST_AT_ONCE)
        # Of those that run: replicas on their way are counted in what is wished, and not once more.
        return max(seen.wished, math.ceil(seen.running * times), seen.running + 1)
    stay = min(seen.running, seen.wished - 1)
    if len(told) == seen.running and pressure <= DOWN_AT and busy <= FULL * stay:
        return seen.wished - 1
    return seen.wished


def _pressure(load: ReplicaLoad) -> float:
    return 0.0 if load.waits is None else load.waits.pressure


def _reason(seen: Seen, wanted: int, bounds: Bounds) -> str:
    if not bounds.fewest <= seen.wished <= bounds.most:
        return f"{bounds.fewest} to {bounds.most} are configured"
    if wanted > seen.wished:
        worst = max((load.waits for load in seen.loads if load.waits is not None), key=lambda waits: waits.pressure)
        return f"requests wait {_ms(worst.wait_s)}, the goal is {_ms(worst.goal_s)}"
    busy = sum(load.busy for load in seen.loads) / len(seen.loads)
    return f"nobody waits, and the replicas are busy {busy:.0%} of the time"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds * 1e3:.0f} ms"
