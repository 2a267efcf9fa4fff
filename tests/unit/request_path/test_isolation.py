"""Random arrivals, departures, deadlines, failures and shapes on a clock that stands still in between.

Nobody gets another's row, nobody waits for ever, no expired row runs, a bad row fails alone, nobody is late beside a
free slot, and whoever is let in finds the bounds of queues held, of each and of all together.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from struct import unpack

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import (
    DeadlineExceeded,
    ModelFailed,
    NotReady,
    Overloaded,
    Poisonous,
    ReplicaLost,
    ServingError,
    TooLarge,
)
from serving.inference import Answer, Batch, Hosted, Outputs, Request, Signature, Tensor, TensorSpec, VersionKey
from serving.request_path.predict import Predictor
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.backend import KEY, EchoBackend, row_of
from tests.unit.batching.conftest import FakeTimers, turns
from tests.unit.request_path.conftest import Caller, Counts

ANY_WIDTH = Signature((TensorSpec("x", "FP32", (-1, -1)),), (TensorSpec("y", "FP32", (-1, -1)),))
LIMITS = {"max_rows": 4, "queue_rows": 12, "deadline_ms": 1_000}
KEYS = (KEY, VersionKey("other", 1))
MOST_IN_ALL = 17
QUEUE_BYTES = 120
BULK = 3
# What may become of a batch whose rows are not to blame for it.
FATES: dict[str, Callable[[], ServingError]] = {
    "lost before it began": lambda: ReplicaLost("a replica went away", started=False),
    "lost while it ran": lambda: ReplicaLost("a replica crashed", started=True),
    "too large": lambda: TooLarge("together they do not fit into a frame"),
    "nobody there": lambda: NotReady("no replica"),
}


class Stepwise(EchoBackend):
    """Batches end when the test says so, in any order; keeps when each row ran."""

    def __init__(self, timers: FakeTimers, slots: int, begin_s: float) -> None:
        super().__init__([Hosted(key, ANY_WIDTH, batchable=True, run_s=begin_s) for key in KEYS], slots)
        self._timers = timers
        self._begin_s = begin_s
        self._running: list[tuple[Batch, asyncio.Future[None]]] = []
        self.ran: list[tuple[float, float]] = []
        self.fates: dict[float, list[type[ServingError]]] = defaultdict(list)

    async def run(self, batch: Batch) -> Outputs:
        (stacked,) = batch.inputs
        rows, width = stacked.shape
        data = stacked.joined()
        values = unpack(f"<{rows * width}f", data)
        self.ran += [(value, self._timers.now) for value in values[::width]]
        ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running.append((batch, ends))
        try:
            await ends
        except ServingError as fate:
            for value in set(values):
                self.fates[value].append(type(fate))
            raise
        if any(value in self.bad_values for value in values):
            raise ModelFailed("the model does not like a row")
        return Outputs((Tensor("y", "FP32", (rows, width), data),), run_s=self.run_s(rows))

    bad_values: frozenset[float] = frozenset()

    def run_s(self, rows: int) -> float:
        """What a run is said to have taken."""
        return self._begin_s + 0.001 * rows

    @property
    def running(self) -> list[tuple[Batch, asyncio.Future[None]]]:
        """Without those that were called back."""
        self._running = [(batch, ends) for batch, ends in self._running if not ends.done()]
        return self._running

    def end(self, which: int, fate: str = "") -> None:
        if self.running:
            _, ends = self.running[which % len(self.running)]
            if fate:
                ends.set_exception(FATES[fate]())
            else:
                ends.set_result(None)


@dataclass
class Asked:
    caller: Caller
    request: Request
    value: float
    rows: int
    width: int
    left: bool = False


class World:
    """Two models behind a predictor, their callers, and what has become of them."""

    def __init__(self, slots: int, slo_us: int, wait_us: int) -> None:
        self.timers = FakeTimers()
        self.wait_s = wait_us / 1e6
        # Where rows may wait for others, a run is dear to begin, so that it pays.
        self.backend = Stepwise(self.timers, slots, 0.03 if wait_us else 0.0)
        self.predictor = Predictor({"pool": self.backend}, self.timers, Counts(), self.timers.time)
        served = Served(1, "pool", latency_slo_us=slo_us, max_wait_us=wait_us, **LIMITS)
        routes = {key.model: Route(key.model, "salt", (Split("stable", 1, 10_000),), (served,)) for key in KEYS}
        self.predictor.variants.adopt(RouteTable(1, routes))
        self.predictor.queues.total.most = MOST_IN_ALL
        self.batchers = [variant.batcher for variant in self.predictor.variants.all()]
        for batcher in self.batchers:
            batcher._queue.limits = replace(batcher._queue.limits, queue_bytes=QUEUE_BYTES)
        self.asked: list[Asked] = []

    def ask(self, rows: int, width: int, options: tuple[int, int, float | None]) -> None:
        which, priority, timeout_s = options
        value = float(len(self.asked) + 1)
        caller = Caller()
        tensor = Tensor("x", "FP32", (rows, 2 * width), row_of(value) * rows * width)
        request = Request(KEYS[which].model, [tensor], caller, self.timers.now)
        request.priority, request.timeout_s = priority, timeout_s
        self.asked.append(Asked(caller, request, value, rows, 2 * width))
        self.predictor.accept(request)
        total = self.predictor.queues.total
        assert total.rows == sum([batcher.waiting_rows for batcher in self.batchers])
        if not caller.outcomes:
            # What came back from a lost replica is above the bounds; nobody is let in meanwhile.
            queue = self.batchers[which]._queue
            assert queue.rows <= LIMITS["queue_rows"]
            assert queue.bytes <= QUEUE_BYTES
            assert total.rows <= MOST_IN_ALL
            assert priority != BULK or total.bulk <= max(MOST_IN_ALL // 2, rows)

    async def begin(self) -> None:
        """Where rows may wait for others: each model's come so far apart that the first one now waits for a while."""
        if not self.wait_s:
            return
        for batcher in self.batchers:
            for rows in (1, 8) * 50:
                batcher.pace.saw(rows, self.backend.run_s(rows))
        for _ in range(3):
            for which in range(len(KEYS)):
                self.ask(1, 1, (which, 0, None))
            await turns()
            while self.backend.running:
                self.backend.end(0)
                await turns()
            await self.pass_on(0.028)

    def leave(self, which: int) -> None:
        if self.asked:
            one = self.asked[which % len(self.asked)]
            if one.request.waiting:
                one.request.leave()
                one.left = True

    async def pass_on(self, seconds: float) -> None:
        began = self.timers.now
        await self.timers.pass_on(seconds, lambda: self._nobody_is_late_beside_a_free_slot(began))

    def _nobody_is_late_beside_a_free_slot(self, began: float) -> None:
        now = self.timers.now
        for one in self.asked:
            request = one.request
            late = request.waiting and request.queued_rows and began < request.deadline_s <= now
            # Bulk leaves slots to the others.
            if late and request.priority != BULK:
                at_once = sum(batch.key == request.chosen for batch, _ in self.backend.running)
                assert at_once >= self.backend.free_slots, "somebody was late beside a free slot"

    async def finish(self) -> None:
        for _ in range(2_000):
            await turns()
            if all(batcher.idle for batcher in self.batchers):
                assert not self.predictor.queues.total.rows
                return
            if not self.backend.running:
                waiting = [one for one in self.asked if one.request.waiting]
                since = self.timers.now - self.wait_s
                late = [one.request.deadline_s <= self.timers.now for one in waiting]
                assert all(late) or any(one.request.queued_at >= since for one in waiting), "somebody waits for nothing"
                # Those whose time is up are told so at the next tick of the wheel.
                await self.pass_on(0.006)
            self.backend.end(0)
        raise AssertionError("somebody waits for ever")

    def judge(self) -> None:
        deadlines = {one.value: one.request.deadline_s for one in self.asked}
        for value, at in self.backend.ran:
            assert at < deadlines[value], "an expired row ran"
        for one in self.asked:
            if one.left:
                assert one.caller.outcomes == []
                continue
            (outcome,) = one.caller.outcomes
            fates = self.backend.fates[one.value]
            if isinstance(outcome, Answer):
                (answered,) = outcome.tensors()
                assert answered.shape == (one.rows, one.width)
                assert bytes(answered.data) == row_of(one.value) * (one.rows * one.width // 2)
                assert one.value not in self.backend.bad_values
            elif isinstance(outcome, Poisonous | ReplicaLost):
                assert fates.count(ReplicaLost) > 1, "it was at one crash at most"
            elif isinstance(outcome, ModelFailed):
                assert one.value in self.backend.bad_values, "a good row failed"
            elif isinstance(outcome, TooLarge):
                assert TooLarge in fates or one.request.size > QUEUE_BYTES
            elif isinstance(outcome, NotReady):
                assert NotReady in fates
            else:
                assert isinstance(outcome, (Overloaded, DeadlineExceeded)), outcome


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"),
            st.integers(1, 9),
            st.integers(1, 2),
            st.tuples(st.integers(0, 1), st.integers(0, 4), st.sampled_from([None, 0.05])),
        ),
        st.tuples(st.just("ask"), st.integers(1, 4), st.just(1), st.tuples(st.integers(0, 1), st.just(0), st.none())),
        st.tuples(st.just("leave"), st.integers(0, 60)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("end"), st.integers(0, 5), st.sampled_from(sorted(FATES))),
        st.tuples(st.just("pass"), st.sampled_from([0.001, 0.02, 0.051, 0.3])),
        st.tuples(st.just("stall"), st.sampled_from([0.02, 0.051, 0.3])),
        st.tuples(st.just("turns")),
    ),
    max_size=80,
)


@settings(max_examples=300)
@given(
    STEPS,
    st.integers(1, 3),
    st.sampled_from([0, 20_000]),
    st.sampled_from([0, 60_000]),
    st.frozensets(st.integers(1, 40), max_size=3),
)
def test_everybody_gets_what_is_their_own_or_is_told_why_not(
    steps: list[tuple[object, ...]], slots: int, slo_us: int, wait_us: int, bad: frozenset[int]
) -> None:
    async def play() -> None:
        world = World(slots, slo_us, wait_us)
        world.backend.bad_values = frozenset(map(float, bad))
        await world.begin()
        for step, *given_ in steps:
            if step == "ask":
                world.ask(*given_)  # type: ignore[arg-type]
            elif step == "leave":
                world.leave(*given_)  # type: ignore[arg-type]
            elif step == "end":
                world.backend.end(*given_)  # type: ignore[arg-type]
            elif step == "pass":
                await world.pass_on(*given_)  # type: ignore[arg-type]
            elif step == "stall":
                world.timers.jump(*given_)  # type: ignore[arg-type]
            else:
                await turns()
        await world.finish()
        world.judge()

    asyncio.run(play())
