"""Random arrivals, departures, deadlines, failures and shapes on a clock that stands still in between.

Nobody gets another's row, nobody waits for ever, no expired row runs, a bad row fails alone, and the bounds of queues
hold, of each and of all together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.deadline import Timer
from serving.errors import DeadlineExceeded, ModelFailed, Overloaded
from serving.inference import Answer, Batch, Hosted, Outputs, Request, Signature, Tensor, TensorSpec, VersionKey
from serving.request_path.predict import Predictor
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.backend import KEY, EchoBackend, row_of
from tests.unit.request_path.conftest import Caller, Counts

ANY_WIDTH = Signature((TensorSpec("x", "FP32", (-1, -1)),), (TensorSpec("y", "FP32", (-1, -1)),))
LIMITS = {"max_rows": 4, "queue_rows": 12, "deadline_ms": 1_000}
KEYS = (KEY, VersionKey("other", 1))
MOST_IN_ALL = 17


class FakeTimers:
    """A clock that a test moves; timers fire when it has passed them."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[FakeTimer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = FakeTimer(when, callback)
        self._due.append(timer)
        return timer

    def pass_on(self, seconds: float) -> None:
        self.now += seconds
        due, self._due = [t for t in self._due if t.when <= self.now], [t for t in self._due if t.when > self.now]
        for timer in due:
            if not timer.cancelled:
                timer.callback()


@dataclass
class FakeTimer:
    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Stepwise(EchoBackend):
    """Batches end when the test says so, in any order; keeps when each row ran."""

    def __init__(self, timers: FakeTimers, slots: int) -> None:
        super().__init__([Hosted(key, ANY_WIDTH, batchable=True) for key in KEYS], slots)
        self._timers = timers
        self.running: list[tuple[Batch, asyncio.Future[None]]] = []
        self.ran: list[tuple[float, float]] = []

    async def run(self, batch: Batch) -> Outputs:
        (stacked,) = batch.inputs
        rows, width = stacked.shape
        data = stacked.joined()
        values = unpack(f"<{rows * width}f", data)
        self.ran += [(value, self._timers.now) for value in values[::width]]
        ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.running.append((batch, ends))
        await ends
        if any(value in self.bad_values for value in values):
            raise ModelFailed("the model does not like a row")
        return Outputs((Tensor("y", "FP32", (rows, width), data),), run_s=0.001 * rows)

    bad_values: frozenset[float] = frozenset()

    def end(self, which: int) -> None:
        if self.running:
            _, ends = self.running.pop(which % len(self.running))
            if not ends.done():
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

    def __init__(self, slots: int, slo_us: int) -> None:
        self.timers = FakeTimers()
        self.backend = Stepwise(self.timers, slots)
        self.predictor = Predictor({"pool": self.backend}, self.timers, Counts(), self.timers.time)
        served = Served(1, "pool", latency_slo_us=slo_us, **LIMITS)
        routes = {key.model: Route(key.model, "salt", (Split("stable", 1, 10_000),), (served,)) for key in KEYS}
        self.predictor.variants.adopt(RouteTable(1, routes))
        self.predictor.queues.total.most = MOST_IN_ALL
        self.batchers = [variant.batcher for variant in self.predictor.variants.all()]
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
        waiting = [batcher.waiting_rows for batcher in self.batchers]
        assert max(waiting) <= LIMITS["queue_rows"]
        assert sum(waiting) == self.predictor.queues.total.rows <= MOST_IN_ALL

    def leave(self, which: int) -> None:
        if self.asked:
            one = self.asked[which % len(self.asked)]
            if one.request.waiting:
                one.request.leave()
                one.left = True

    async def turns(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    async def finish(self) -> None:
        for _ in range(2_000):
            await self.turns()
            if all(batcher.idle for batcher in self.batchers):
                assert not self.predictor.queues.total.rows
                return
            if not self.backend.running:
                waiting = [one for one in self.asked if one.request.waiting]
                assert all(one.request.deadline_s <= self.timers.now for one in waiting), "somebody waits for nothing"
                # Those whose time is up are told so at the next tick of the wheel.
                self.timers.pass_on(0.006)
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
            if isinstance(outcome, Answer):
                (answered,) = outcome.tensors()
                assert answered.shape == (one.rows, one.width)
                assert bytes(answered.data) == row_of(one.value) * (one.rows * one.width // 2)
                assert one.value not in self.backend.bad_values
            elif isinstance(outcome, ModelFailed):
                assert one.value in self.backend.bad_values, "a good row failed"
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
        st.tuples(st.just("pass"), st.sampled_from([0.001, 0.02, 0.051, 0.3])),
        st.tuples(st.just("turns")),
    ),
    max_size=80,
)


@settings(max_examples=300)
@given(STEPS, st.integers(1, 3), st.sampled_from([0, 20_000]), st.frozensets(st.integers(1, 40), max_size=3))
def test_everybody_gets_what_is_their_own_or_is_told_why_not(
    steps: list[tuple[object, ...]], slots: int, slo_us: int, bad: frozenset[int]
) -> None:
    async def play() -> None:
        world = World(slots, slo_us)
        world.backend.bad_values = frozenset(map(float, bad))
        for step, *given_ in steps:
            if step == "ask":
                world.ask(*given_)  # type: ignore[arg-type]
            elif step == "leave":
                world.leave(*given_)  # type: ignore[arg-type]
            elif step == "end":
                world.backend.end(*given_)  # type: ignore[arg-type]
            elif step == "pass":
                world.timers.pass_on(*given_)  # type: ignore[arg-type]
            else:
                await world.turns()
        await world.finish()
        world.judge()

    asyncio.run(play())
