"""A simulated fleet: requests come to gateway workers, wait there for a slot, and run in micro-batches on replicas.

A worker goes round as its event loop does: it takes all answers and requests that are there, sends what has a slot, and
only then looks again. Each replica runs one batch at a time and has one more on its way from each worker. No network,
no failures, no refusals, a core for each worker and each replica.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.sizing.costs import MAX_ROWS, Costs

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is. `irregular`: each run and each round takes exponentially long, of the same mean."""

    costs: Costs
    workers: int
    replicas: int
    max_rows: int = MAX_ROWS
    in_flight: int = 2
    irregular: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Independent callers at a rate; or, where `callers` is set, so many that ask again once they have their answer."""

    per_second: float = 0.0
    requests: int = 100_000
    models: int = 1
    callers: int = 0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it, its first tenth left out of the latencies, which are in microseconds.

    `per_second` counts what was answered by the time that the last one asked.
    """

    latencies_us: Floats
    per_second: float
    rows: float
    worker_busy: float
    replica_busy: float


@dataclass(eq=False, slots=True)
class _Batch:
    worker: _Worker
    replica: int
    requests: list[int]


@dataclass(eq=False, slots=True)
class _Worker:
    """What is due to it, and what it waits with: requests of each model, the model that waits longest first."""

    arrivals: deque[int] = field(default_factory=deque)
    answers: deque[_Batch] = field(default_factory=deque)
    waiting: dict[int, deque[int]] = field(default_factory=dict)
    sent: list[int] = field(default_factory=list)
    free_at: float = 0.0
    round_at: float | None = None
    turn: int = 0


def simulate(fleet: Fleet, load: Load) -> Run:
    """The same seed is the same run."""
    return _Simulation(fleet, load).run()


def zipf(models: int, exponent: float = 1.1) -> Floats:
    """Each model's share of the requests."""
    weights = np.arange(1, models + 1) ** -exponent
    shares: Floats = weights / weights.sum()
    return shares


class _Simulation:
    def __init__(self, fleet: Fleet, load: Load) -> None:
        self._fleet, self._load = fleet, load
        self._random = np.random.default_rng(load.seed)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0
        self._workers = [_Worker(sent=[0] * fleet.replicas) for _ in range(fleet.workers)]
        self._replica_free_at = [0.0] * fleet.replicas
        self._due = np.zeros(load.requests)
        self._done = np.zeros(load.requests)
        self._model = self._random.choice(load.models, load.requests, p=zipf(load.models)).tolist()
        self._asked = self._batches = 0
        self._worker_us = self._replica_us = 0.0

    def run(self) -> Run:
        for _ in range(self._load.callers or 1):
            self._ask(0.0)
        while self._events:
            now, _, action = heapq.heappop(self._events)
            action(now)
        span_us = float(self._done.max())
        kept = slice(self._load.requests // 10, None)
        return Run(
            latencies_us=(self._done - self._due)[kept],
            per_second=float((self._done <= self._due[-1]).sum() / self._due[-1]) * 1e6,
            rows=self._load.requests / self._batches,
            worker_busy=self._worker_us / span_us / self._fleet.workers,
            replica_busy=self._replica_us / span_us / self._fleet.replicas,
        )

    def _at(self, when: float, action: Callable[[float], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, action))

    def _ask(self, now: float) -> None:
        """The next request, if there is one left; callers who do not wait have the one after it follow by itself."""
        number = self._asked
        if number == self._load.requests:
            return
        self._asked += 1
        due = now if self._load.callers else now + self._random.exponential(1e6 / self._load.per_second)
        self._due[number] = due
        self._at(due, partial(self._come, number))

    def _come(self, number: int, now: float) -> None:
        # Poisson arrivals that are dealt at random are Poisson at each worker.
        chosen = number % self._fleet.workers if self._load.callers else self._random.integers(self._fleet.workers)
        worker = self._workers[chosen]
        worker.arrivals.append(number)
        self._wake(worker, now)
        if not self._load.callers:
            self._ask(now)

    def _wake(self, worker: _Worker, now: float) -> None:
        if worker.round_at is None:
            worker.round_at = max(now, worker.free_at)
            self._at(worker.round_at, partial(self._round, worker))

    def _round(self, worker: _Worker, now: float) -> None:
        """One turn of a worker's loop; what comes meanwhile waits for the next."""
        costs = self._fleet.costs
        worker.round_at = None
        answers, worker.answers = worker.answers, deque()
        arrivals, worker.arrivals = worker.arrivals, deque()
        for number in arrivals:
            worker.waiting.setdefault(self._model[number], deque()).append(number)
        for answered in answers:
            worker.sent[answered.replica] -= 1
        batches = self._take(worker)
        rows = sum(len(answered.requests) for answered in answers)
        # Half of what a batch costs is its way there, half its way back.
        took = costs.gateway_in_us * len(arrivals) + costs.gateway_out_us * rows
        took = self._drawn(took + costs.gateway_batch_us / 2 * (len(batches) + len(answers)))
        self._worker_us += took
        worker.free_at = now + took
        for answered in answers:
            self._answer(answered, worker.free_at)
        for batch in batches:
            self._at(worker.free_at, partial(self._start, batch))

    def _take(self, worker: _Worker) -> list[_Batch]:
        batches: list[_Batch] = []
        while worker.waiting and (replica := self._free_replica(worker)) is not None:
            model, queue = next(iter(worker.waiting.items()))
            requests = [queue.popleft() for _ in range(min(len(queue), self._fleet.max_rows))]
            del worker.waiting[model]
            if queue:
                worker.waiting[model] = queue
            worker.sent[replica] += 1
            batches.append(_Batch(worker, replica, requests))
        self._batches += len(batches)
        return batches

    def _free_replica(self, worker: _Worker) -> int | None:
        """The one with the least of this worker's batches; equals take turns. A worker knows nothing of the others'."""
        count = self._fleet.replicas
        worker.turn += 1
        best = min(((worker.turn + at) % count for at in range(count)), key=worker.sent.__getitem__)
        return best if worker.sent[best] < self._fleet.in_flight else None

    def _start(self, batch: _Batch, now: float) -> None:
        costs = self._fleet.costs
        took = self._drawn(costs.replica_batch_us + costs.replica_row_us * len(batch.requests))
        self._replica_us += took
        ends = max(now, self._replica_free_at[batch.replica]) + took
        self._replica_free_at[batch.replica] = ends
        self._at(ends, partial(self._come_back, batch))

    def _come_back(self, batch: _Batch, now: float) -> None:
        batch.worker.answers.append(batch)
        self._wake(batch.worker, now)

    def _answer(self, batch: _Batch, now: float) -> None:
        self._done[batch.requests] = now
        if self._load.callers:
            for _ in batch.requests:
                self._ask(now)

    def _drawn(self, mean_us: float) -> float:
        return float(self._random.exponential(mean_us)) if self._fleet.irregular else mean_us
