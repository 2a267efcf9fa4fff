"""The worlds in which rules are tried, and what is asked of the shipped one in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from serving.rollouts.plan import Plan, Step, default_steps
from serving.rollouts.simulation import Result
from serving.rollouts.transition import Phase
from serving.rollouts.world import Batches, Fault, Peak, World

MINUTE_S = 60
HOUR_S = 3_600
_MOST, _FEW = 0.95, 0.03


@dataclass(frozen=True, slots=True)
class Target:
    """What has to hold of all runs of a world."""

    words: str
    holds: Callable[[Sequence[Result]], bool]


@dataclass(frozen=True, slots=True)
class Trial:
    """A world under a plan, so many times; `compared` where other rules are tried in it too."""

    name: str
    world: World
    plan: Plan
    target: Target
    runs: int = 400
    compared: bool = True


def share(results: Sequence[Result], phase: Phase) -> float:
    """Of all runs, those that ended so."""
    return sum(result.phase is phase for result in results) / len(results)


def median_s(results: Sequence[Result], from_s: float) -> float:
    """The median time from a fault to its rollback, of the runs that were rolled back after it."""
    times = [result.at_s - from_s for result in results if result.phase is Phase.ROLLED_BACK and result.at_s >= from_s]
    return float(np.median(times)) if times else float("inf")


def _identical() -> Target:
    def holds(results: Sequence[Result]) -> bool:
        return share(results, Phase.ROLLED_BACK) <= _FEW and share(results, Phase.PROMOTED) >= _MOST

    return Target("rolled back <= 3 %, promoted >= 95 %", holds)


def _at_least(phase: Phase, least: float) -> Target:
    words = f"{phase.replace('_', ' ')} >= {100 * least:g} %"
    return Target(words, lambda results: share(results, phase) >= least)


def _rolled_back_at_most(most: float) -> Target:
    return Target(f"rolled back <= {100 * most:g} %", lambda results: share(results, Phase.ROLLED_BACK) <= most)


def _promoted_at_most(most: float) -> Target:
    return Target(f"promoted <= {100 * most:g} %", lambda results: share(results, Phase.PROMOTED) <= most)


def _within(from_s: float, most_s: float) -> Target:
    words = f"rolled back >= 95 %, median <= {most_s:g} s after the fault"

    def holds(results: Sequence[Result]) -> bool:
        return share(results, Phase.ROLLED_BACK) >= _MOST and median_s(results, from_s) <= most_s

    return Target(words, holds)


def _inconclusive() -> Target:
    return Target(
        "paused as no_traffic in 100 %", lambda results: all(result.reason == "no_traffic" for result in results)
    )


_NORMAL, _LOW = Plan(default_steps(1_000)), Plan(default_steps(50))
_HOUR_AT_10 = Plan((Step(1_000, HOUR_S, HOUR_S),))
_LONG_AT_10 = Plan((Step(1_000, 5 * HOUR_S, 5 * HOUR_S),))
_STICKY = World(keys=20_000)
_PLAIN = World()
_ROLLED_BACK = _at_least(Phase.ROLLED_BACK, 0.95)


def _late(after_min: int, keys: int = 0) -> World:
    from_s = float(after_min * MINUTE_S)
    fault = Fault(error_ratio=20.0, from_s=from_s)
    return World(6_000.0, drifts=False, keys=keys, fault=fault, fine_from_s=from_s)


def _with(world: World, **fault: float) -> World:
    return replace(world, fault=Fault(**fault))  # type: ignore[arg-type]


def _at_50_percent(world: World) -> World:
    return _with(world, error_ratio=2, from_step=4)


_SLOW = World(50.0, look_s=30)
_FEW_KEYS = replace(_SLOW, keys=1_000)
_FAST = Plan(default_steps(6_000))
# Of 40 rows and 1 to 20; one run in 2,000 stalls, and two more after it.
_STALLED = World(6_000.0, batches=Batches(gathered_s=0.4, stalls=5e-4, lasts=3.0))
_SMALLER = Batches(gathered_s=0.1, stalls=5e-4, lasts=3.0)
_UNEQUAL = replace(_STICKY, key_spread=2.0, error_spread=5.0)
TRIALS = (
    Trial("identical, sticky", _STICKY, _NORMAL, _identical()),
    Trial("identical, per request", _PLAIN, _NORMAL, _identical()),
    Trial("errors 1 to 2 %, 10 %, 60 min, per request", _with(_PLAIN, error_ratio=2), _HOUR_AT_10, _ROLLED_BACK),
    Trial(
        "errors 1 to 2 %, 10 %, 60 min, sticky",
        _with(_STICKY, error_ratio=2),
        _HOUR_AT_10,
        _at_least(Phase.ROLLED_BACK, 0.75),
    ),
    Trial("errors 1 to 2 %, whole plan, sticky", _with(_STICKY, error_ratio=2), _NORMAL, _ROLLED_BACK),
    Trial("errors 0.1 to 1 %", replace(_with(_PLAIN, error_ratio=10), error_rate=0.001), _NORMAL, _ROLLED_BACK),
    Trial("latency x 1.25", _with(_PLAIN, latency_factor=1.25), _NORMAL, _ROLLED_BACK),
    Trial("2 % of requests 8 x slower", _with(_PLAIN, slow_share=0.02), _NORMAL, _ROLLED_BACK),
    Trial("1 to 20 % after 30 min, 100/s, 10 %, per request", _late(30), _LONG_AT_10, _within(1_800, 10)),
    Trial("1 to 20 % after 240 min, per request", _late(240), _LONG_AT_10, _within(14_400, 10), 200, compared=False),
    Trial("1 to 20 % after 30 min, sticky, 100,000 keys", _late(30, 100_000), _LONG_AT_10, _within(1_800, 20), 200),
    Trial(
        "1 to 20 % after 240 min, sticky, 100,000 keys",
        _late(240, 100_000),
        _LONG_AT_10,
        _within(14_400, 20),
        100,
        compared=False,
    ),
    Trial(
        "errors x 5 above 1.5 times the load, peak within the plan",
        replace(_with(_PLAIN, error_ratio=5, above_load=1.5), peak=Peak(20 * MINUTE_S, 15 * MINUTE_S, 2.0)),
        _NORMAL,
        _ROLLED_BACK,
    ),
    Trial(
        "errors x 2 at the 50 % step only, sticky",
        _at_50_percent(_STICKY),
        _NORMAL,
        _promoted_at_most(0.02),
    ),
    Trial(
        "errors x 2 at the 50 % step only, per request",
        _at_50_percent(_PLAIN),
        _NORMAL,
        _promoted_at_most(0.02),
    ),
    Trial("scores + 0.25 sd", _with(_PLAIN, score_shift=0.25), _NORMAL, _at_least(Phase.PAUSED, 0.95)),
    Trial("50/min, identical, per request", _SLOW, _LOW, _at_least(Phase.PROMOTED, 0.95), 200),
    Trial("50/min, identical, sticky", replace(_SLOW, keys=20_000), _LOW, _at_least(Phase.PROMOTED, 0.95), 200),
    Trial("50/min, errors 1 to 2 %, per request", _with(_SLOW, error_ratio=2), _LOW, _promoted_at_most(0.03), 200),
    Trial(
        "50/min, errors 1 to 2 %, sticky",
        _with(replace(_SLOW, keys=20_000), error_ratio=2),
        _LOW,
        _promoted_at_most(0.03),
        200,
    ),
    Trial("identical, sticky, very unequal users", _UNEQUAL, _NORMAL, _rolled_back_at_most(0.03), 200, compared=False),
    Trial("50/min, identical, 1,000 keys", _FEW_KEYS, _LOW, _rolled_back_at_most(0.03), 100, compared=False),
    Trial(
        "50/min, errors 1 to 2 %, 1,000 keys",
        _with(_FEW_KEYS, error_ratio=2),
        _LOW,
        _promoted_at_most(0.03),
        200,
        compared=False,
    ),
    Trial(
        "errors x 30 in both arms after 20 min",
        replace(_PLAIN, outage=Fault(error_ratio=30, from_s=20 * MINUTE_S)),
        _NORMAL,
        _at_least(Phase.PAUSED, 0.95),
        200,
        compared=False,
    ),
    Trial(
        "answers of both arms x 3 after 20 min, sticky",
        replace(_STICKY, outage=Fault(latency_factor=3, from_s=20 * MINUTE_S)),
        _NORMAL,
        _at_least(Phase.PAUSED, 0.95),
        100,
        compared=False,
    ),
    Trial("in batches with stalls, identical, per request", _STALLED, _FAST, _identical(), compared=False),
    Trial(
        "in batches with stalls, identical, sticky, 100,000 keys",
        replace(_STALLED, keys=100_000),
        _FAST,
        _identical(),
        compared=False,
    ),
    Trial(
        "in batches with stalls of 10 runs, identical, per request",
        replace(_STALLED, batches=Batches(gathered_s=0.05, stalls=2e-4, lasts=10.0)),
        _FAST,
        _identical(),
        compared=False,
    ),
    Trial(
        "in batches with stalls, latency x 1.25",
        _with(replace(_STALLED, batches=_SMALLER), latency_factor=1.25),
        _FAST,
        _ROLLED_BACK,
        200,
        compared=False,
    ),
    Trial(
        "in batches with stalls, 2 % of requests 8 x slower",
        _with(replace(_STALLED, batches=_SMALLER), slow_share=0.02),
        _FAST,
        _ROLLED_BACK,
        200,
        compared=False,
    ),
    Trial("no traffic", World(0.0, look_s=60), _NORMAL, _inconclusive(), 20),
)
