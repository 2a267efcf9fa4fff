"""Is the whole model worse than before the start? What hurts both arms alike, no comparison of the arms can see.

Of each event (errors, slow runs of the stable version, and where the model has a latency goal, runs with answers over
it: what fills queues slows no run and hurts all the same) the rate that is allowed is `p0`: `allowed` times an upper
bound of what it was before the start, so that a day's ups and downs are no finding. A slice with `n` requests (of the
last two: runs, whose answers are late together), `x` of them with the event, speaks for a rate of `phi p0` by the
factor whose logarithm is

    x ln phi + (n - x) ln((1 - phi p0) / (1 - p0))

which is a fair bet at `p0` and a losing one at every rate below it, however rates move. Factors are mixed over ratios
and starts as in `e_process`, so while the rate stays within what is allowed, the evidence ever reaches `1/alpha` with
probability `alpha` at most (Ville 1939), and another `alpha` is that the bound of before was too low (Robbins 1970).

Runs one after the other are slow together, as a machine stalls: however many a slice has, they speak for no more than
its turns (decision 0034). The logarithm is multiplied by what makes that of their number; a fair bet to a power below
one is a losing one (Jensen), so the bound on its evidence stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, log1p
from typing import Any, NamedTuple

import numpy as np

from serving.rollouts.confidence import rate_interval
from serving.rollouts.e_process import EProcess, folded, not_begun
from serving.rollouts.plan import GuardrailSettings
from serving.rollouts.stratum import SLICE_S, Floats
from serving.routing.table import RUN_SIZES, TURN_S
from serving.state.rollout_counts import CANARY, EVERY, LATE, RAN, SLOW, STABLE, StratumName

# Of the verdict, and of what a person accepted who resumed in spite of it.
NAME = "guardrail"
EVENTS = ("errors", "slow", "over_goal")
# Runs of the canary that are slow alone are for the gate of latency, which a plan may do without where that is known.
_WORDS = {
    "errors": "errors of the whole model",
    "slow": "slow runs of the stable version",
    "over_goal": "runs with answers over the latency goal of the whole model",
}
# The ratios that are bet on are between these; what is certain needs no bet.
_LEAST_RATIO, _MOST_RATIO, _RATIOS = 1.1, 10.0, 25
_MOST_RATE = 0.99
_ARMS = (CANARY, STABLE)
# Of a slice, as many as the turns of one worker.
_MOST_RUNS = SLICE_S / TURN_S
# A minute: what a sentence tells of now.
RECENT_SLICES = 12


class Before(NamedTuple):
    """What was counted of the stable version before the first step: each of `EVENTS` that is looked at, and among what.

    Those are the first two where the model has no goal. `of` is requests, and of what is told of runs these.
    """

    of: tuple[int, ...]
    events: tuple[int, ...]

    def plus(self, other: Before) -> Before:
        """Of two times before the start together."""
        return Before(_sum(self.of, other.of), _sum(self.events, other.events))

    @classmethod
    def load(cls, stored: Sequence[Any]) -> Before:
        """Of its JSON form; older releases counted answers where runs count now, and of those errors alone hold."""
        of, events = stored
        return cls((of,), tuple(events[:1])) if isinstance(of, int) else cls(tuple(of), tuple(events))


class SliceSeen(NamedTuple):
    """Both arms together in one slice, and of slow runs the stable one."""

    slice: int
    of: tuple[int, ...]
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """The bets so far, one process for all events, and the slices of the last minute."""

    process: EProcess
    recent: tuple[SliceSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Guarded:
    """One event at one look; `now` (the last minute) and `before` are requests or runs with it, and all of them.

    `allowed_rate` is the share of them that is allowed to have it.
    """

    name: str
    evidence: float
    needed: float
    now: tuple[int, int]
    before: tuple[int, int]
    allowed_rate: float

    @property
    def broken(self) -> bool:
        """Whether the rollout is to wait for a person."""
        return self.evidence >= self.needed


def begin(before: Before) -> Guard:
    """Before the first slice."""
    return Guard(EProcess(0, np.zeros(len(before.events) * _RATIOS)))


def slices(counted: Mapping[StratumName, Mapping[str, int]], tail: int) -> list[SliceSeen]:
    """Counts of both arms by slice; slow are runs of the stable version over bound `tail`."""
    found: dict[int, SliceSeen] = {}
    for stratum, fields in counted.items():
        before = found.get(stratum.slice, SliceSeen(stratum.slice, (0, 0, 0), (0, 0, 0)))
        requests, errors, slow, ran_stable, late, ran = (
            sum(fields.get(name, 0) for name in names)
            for names in (
                [f"requests|{arm}" for arm in _ARMS],
                [f"{EVERY + arm}|errors" for arm in _ARMS],
                [f"{EVERY + STABLE}|{SLOW}.{tail}.{size}" for size in range(RUN_SIZES)],
                [f"{EVERY + STABLE}|{RAN}.{size}" for size in range(RUN_SIZES)],
                [f"{EVERY + arm}|{LATE}" for arm in _ARMS],
                [f"{EVERY + arm}|{RAN}.{size}" for arm in _ARMS for size in range(RUN_SIZES)],
            )
        )
        of, events = _sum(before.of, (requests, ran_stable, ran)), _sum(before.events, (errors, slow, late))
        found[before.slice] = SliceSeen(before.slice, of, events)
    # Workers of two releases at once may have counted different things.
    return sorted(one._replace(events=_at_most(one.events, one.of)) for one in found.values())


def with_slices(guard: Guard, before: Before, settings: GuardrailSettings, seen: Sequence[SliceSeen]) -> Guard:
    """With more slices, in their order; those that are not over yet are added to a copy."""
    if not seen:
        return guard
    growth = np.concatenate(
        [_log_growth(before, settings, place, seen) for place in range(len(before.events))],
        axis=1,
    )
    process = folded(guard.process, growth, [one.slice for one in seen])
    recent = [one for one in (*guard.recent, *seen) if one.slice > seen[-1].slice - RECENT_SLICES]
    return Guard(process, tuple(recent))


def guarded(guard: Guard, before: Before, settings: GuardrailSettings) -> list[Guarded]:
    """Every event with its evidence."""
    by_event = guard.process.a.reshape(len(before.events), _RATIOS).mean(axis=1) + not_begun(guard.process.next_slice)
    return [
        Guarded(
            name,
            float(by_event[place]),
            1 / settings.alpha,
            (sum(one.events[place] for one in guard.recent), sum(one.of[place] for one in guard.recent)),
            (before.events[place], before.of[place]),
            min(_allowed_rate(before, settings, place), 1.0),
        )
        for place, name in enumerate(EVENTS[: len(before.events)])
    ]


def sentence(one: Guarded) -> str:
    """What was seen of the whole model now and before, and how much evidence that is."""
    (now, of), (then, of_then) = one.now, one.before
    times = f": {now * of_then / (of * then):.2g} times as many" if of and then else ""
    verb = "where" if one.broken else "of"
    needed = f"{one.needed:,.0f} decide" if one.broken else f"{one.needed:,.0f} needed"
    evidence = f"{one.evidence:,.0f}" if one.evidence < 1e6 else f"{one.evidence:.1e}"  # noqa: PLR2004
    return (
        f"{_WORDS[one.name]} {now:,}/{of:,} in the last {_minute()} s against {then:,}/{of_then:,} "
        f"before the start{times}; evidence {evidence}{',' if one.broken else ''} {verb} {needed}"
    )


def finding(seen: Sequence[Guarded]) -> str:
    """Why the rollout has to wait for a person; "" where nothing is wrong."""
    return "; ".join(sentence(one) for one in seen if one.broken)


def dump(guard: Guard) -> dict[str, Any]:
    """Plain JSON, from which `load` makes the same to the last bit."""
    recent = [[one.slice, list(one.of), list(one.events)] for one in guard.recent]
    return {"next_slice": guard.process.next_slice, "a": guard.process.a.tolist(), "recent": recent}


def load(document: Mapping[str, Any], before: Before) -> Guard:
    """What `dump` wrote; of what older releases wrote, the events that are looked at still."""
    bets = np.array(document["a"], np.float64)[: len(before.events) * _RATIOS]
    new = (one for one in document["recent"] if isinstance(one[1], list))
    recent = tuple(SliceSeen(place, tuple(of), tuple(events)) for place, of, events in new)
    return Guard(EProcess(document["next_slice"], bets), recent)


def _log_growth(before: Before, settings: GuardrailSettings, place: int, seen: Sequence[SliceSeen]) -> Floats:
    """Slices by ratios; all zero, which bets nothing, where so much is allowed that nothing is left to be found."""
    p0 = _allowed_rate(before, settings, place)
    growth = np.zeros((len(seen), _RATIOS))
    if p0 * _LEAST_RATIO >= _MOST_RATE:
        return growth
    phis = np.geomspace(_LEAST_RATIO, min(_MOST_RATIO, _MOST_RATE / p0), _RATIOS)
    for row, phi in zip(growth.T, phis, strict=True):
        hit, missed = log(phi), log1p(-phi * p0) - log1p(-p0)
        row[:] = [one.events[place] * hit + (one.of[place] - one.events[place]) * missed for one in seen]
    # The first event is of requests, which fail one by one.
    return growth if not place else growth * np.array([[_MOST_RUNS / max(one.of[place], _MOST_RUNS)] for one in seen])


def _allowed_rate(before: Before, settings: GuardrailSettings, place: int) -> float:
    _, highest = rate_interval(before.events[place], before.of[place], settings.alpha)
    return settings.allowed * highest


def _sum(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _at_most(events: Sequence[int], of: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(min, events, of))


def _minute() -> int:
    return RECENT_SLICES * SLICE_S
