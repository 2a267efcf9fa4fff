"""The lean generator as Locust's users drive it: fed a little ahead, asked now and then for what ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray

from loadtests.generator.outcomes import SAID, UNANSWERED, UNSENT
from loadtests.judging.self_check import SelfCheck, self_check
from loadtests.reference import refuse_reference
from loadtests.running.fleet import Fleet, Load
from loadtests.running.plan import part_of
from loadtests.scenario.scenario import MOST_RATE, MOST_SEED, Gates, Scenario

# Arrivals are drawn so far ahead, since Locust may be busy for a while, with users that begin for example; a rate that
# changes acts after it.
_AHEAD_S = 1.0
# So many requests at the most: 34 bytes each, taken as they are used.
_ROOM = 20_000_000
# A generator writes when an answer came just before it writes what it was.
_SETTLED_S = 0.05


FULL = f"a generator of Locust's has room for {_ROOM:,} requests, and asked no more after them: begin another test"


def of_worker(scenario: Scenario, index: int) -> Scenario:
    """The same users, who come at moments and ask for keys of their own.

    Workers that drew the same would ask in step for the same: no independent callers, and every key in a cache.
    """
    generator = scenario.generator.model_copy(update={"seed": (scenario.generator.seed + index) % MOST_SEED})
    return scenario.model_copy(update={"generator": generator})


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that is over: the user's name, how long it took from when it was due, and what is wrong with it."""

    name: str
    due: float
    took_ms: float
    problem: str | None


class Engine:
    """One generator in a process of its own, for all of Locust's users in this process.

    Raises:
        ConfigInvalid: a scenario with a reference.
    """

    def __init__(self, load: Load) -> None:
        scenario = load.scenario
        refuse_reference(scenario, "Locust")
        # Arrivals and keys follow from it.
        self.seed = scenario.generator.seed
        self._names = [user.name for user in scenario.users]
        self._streams = part_of(scenario, load.folder, 0, 1, cycle=True).stream
        self._random = np.random.default_rng(self.seed)
        self._fleet = Fleet(load, 1, 0.0, fed=_ROOM)
        self._columns = self._fleet.generators[0].columns
        self._offered_until = 0.0
        self._first = 0
        self._told = np.zeros(0, np.bool_)

    def begin(self) -> None:
        """Ready to be fed.

        Raises:
            ConfigInvalid: a payload that cannot be read.
        """
        self._fleet.begin()

    def offer(self, rate: float) -> None:
        """Draw a Poisson process of this rate for the moments that were not drawn yet."""
        until = time.monotonic() - self._fleet.began + _AHEAD_S
        since = max(self._offered_until, 0.0)
        if until <= since:
            return
        self._offered_until = until
        count = int(self._random.poisson(min(rate, MOST_RATE) * (until - since)))
        count = min(count, self._columns.room - self._columns.count)
        begins = self._columns.count
        streams = self._streams[np.arange(begins, begins + count) % len(self._streams)]
        self._columns.offer(np.sort(self._random.uniform(since, until, count)), streams)

    def ended(self) -> Iterator[Ended]:
        """Requests that are over and were not told yet."""
        # Asked first: what its process wrote before its end is all there will be.
        running = self._fleet.running
        first, last = self._first, self._columns.reached
        part = self._columns.outcomes(last, self._fleet.began, first)
        told = np.concatenate([self._told, np.zeros(last - first - len(self._told), np.bool_)])
        now = time.monotonic() - self._fleet.began
        over = (part.status != UNANSWERED) | (part.ended < now - _SETTLED_S) | (not running)
        fresh = np.flatnonzero(over & ~told)
        told[fresh] = True
        # What is told from the beginning on need not be looked at again.
        done = int(np.argmin(told)) if not told.all() else len(told)
        self._first, self._told = first + done, told[done:]
        yield from (self._one(part.status, part.due, part.took, part.stream, at) for at in fresh.tolist())

    def _one(
        self,
        status: NDArray[np.int16],
        due: NDArray[np.float64],
        took: NDArray[np.float64],
        stream: NDArray[np.int16],
        at: int,
    ) -> Ended:
        said = int(status[at])
        problem = None if said == HTTPStatus.OK else SAID.get(said, f"status {said}")
        took_ms = 0.0 if said == UNSENT or np.isnan(took[at]) else float(took[at]) * 1e3
        return Ended(self._names[int(stream[at]) // 2], float(due[at]), took_ms, problem)

    def stop(self) -> None:
        """Send no more; what is out is waited for."""
        self._fleet.stop()

    @property
    def full(self) -> bool:
        """Whether there is no room for more requests."""
        return self._columns.count >= self._columns.room

    @property
    def running(self) -> bool:
        """Whether answers may still come."""
        return self._fleet.running

    def check(self) -> SelfCheck:
        """Once it is over: whether the generator kept up, and asked to the end."""
        outcomes = self._columns.outcomes(self._columns.reached, self._fleet.began)
        found = self_check(outcomes, Gates(), self._fleet.accounts(), [self._columns.lag_s])
        return replace(found, problems=(*found.problems, FULL)) if self.full else found

    def close(self) -> None:
        """End its process."""
        self._fleet.close()
