"""Looking before the loop sleeps: only where what is waited for comes soon, for few callers, and never for long."""

from __future__ import annotations

import asyncio

import pytest

from serving.inference import Request, Tensor
from serving.request_path.loop_look import LoopLook
from serving.request_path.predict import Predictor
from serving.routing.table import Route, RouteTable, Served, Split
from serving.testing.backend import KEY, EchoBackend, row_of
from tests.unit.batching.conftest import FakeTimers
from tests.unit.request_path.conftest import Caller, Counts

MOMENT_S = 0.0002
SOON_S = 0.0001
TURN_S = 0.00001

REPLICAS = EchoBackend()


def begun() -> FakeTimers:
    """Timers of a loop that has been there for a while."""
    timers = FakeTimers()
    timers.now = 100.0
    return timers


def looked_s(timers: FakeTimers) -> float:
    """How long the loop is kept from sleeping, each turn of it 10 us; all that is due runs."""
    began = timers.now
    while timers.next_at <= timers.now:
        timers.fire()
        timers.now += TURN_S
    return timers.now - began


def one_after_another(look: LoopLook, timers: FakeTimers, *, took_s: float, apart_s: float, callers: int = 1) -> None:
    """Two batches of so many callers, their outputs after so long, and as long until the next request."""
    for _ in range(2):
        look.sent(REPLICAS, callers)
        timers.now += took_s
        look.landed(REPLICAS, callers, took_s)
        timers.now += apart_s


def test_where_requests_follow_one_another_it_looks_for_a_moment() -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=SOON_S, apart_s=SOON_S)
    look.sent(REPLICAS, 1)
    assert MOMENT_S <= looked_s(timers) <= MOMENT_S + 2 * TURN_S
    look.landed(REPLICAS, 1, SOON_S)
    assert MOMENT_S <= looked_s(timers) <= MOMENT_S + 2 * TURN_S
    assert not looked_s(timers)


def test_what_comes_begins_the_moment_anew_and_never_a_second_look() -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=SOON_S, apart_s=SOON_S)
    began = timers.now
    for _ in range(3):
        look.sent(REPLICAS, 1)
        timers.now += SOON_S
        look.landed(REPLICAS, 1, SOON_S)
        assert timers.pending == 1
        timers.now += SOON_S
    looked_s(timers)
    assert timers.now - began == pytest.approx(5 * SOON_S + MOMENT_S, abs=2 * TURN_S)


def test_where_requests_are_far_apart_only_quick_outputs_are_looked_for() -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=SOON_S, apart_s=5 * MOMENT_S)
    looked_s(timers)
    look.sent(REPLICAS, 1)
    assert looked_s(timers) >= MOMENT_S
    look.landed(REPLICAS, 1, SOON_S)
    assert not looked_s(timers)


def test_a_model_that_takes_long_is_not_waited_for_awake_but_its_callers_next_request_is() -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=0.005, apart_s=SOON_S)
    looked_s(timers)
    look.sent(REPLICAS, 1)
    assert not looked_s(timers)
    timers.now += 0.005
    look.landed(REPLICAS, 1, 0.005)
    assert looked_s(timers) >= MOMENT_S


def test_two_batches_of_a_slow_model_at_once_are_not_looked_for_either() -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    for _ in range(3):
        look.sent(REPLICAS, 1)
        look.sent(REPLICAS, 1)
        timers.now += 0.005
        look.landed(REPLICAS, 1, 0.005)
        assert not looked_s(timers)
        look.landed(REPLICAS, 1, 0.005)
        looked_s(timers)


@pytest.mark.parametrize(("callers", "batches"), [(16, 1), (1, 16)])
def test_of_many_callers_there_is_always_one_whose_turn_it_is(callers: int, batches: int) -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=SOON_S, apart_s=SOON_S, callers=callers)
    look.read(SOON_S)
    looked_s(timers)
    for _ in range(batches):
        look.sent(REPLICAS, callers)
    assert looked_s(timers) < 2 * TURN_S
    look.reads(REPLICAS)
    assert not looked_s(timers)


def test_one_large_batch_among_small_ones_ends_the_look_for_the_next_two() -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=SOON_S, apart_s=SOON_S)
    looked_s(timers)
    for callers, looks in ((16, False), (1, False), (1, True)):
        look.sent(REPLICAS, callers)
        assert (looked_s(timers) > 0) is looks
        look.landed(REPLICAS, callers, SOON_S)
        looked_s(timers)


def test_the_outputs_of_a_few_callers_are_looked_for_and_their_next_requests_are_let_come_together() -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=SOON_S, apart_s=SOON_S, callers=3)
    look.sent(REPLICAS, 3)
    assert looked_s(timers) >= MOMENT_S
    look.landed(REPLICAS, 3, SOON_S)
    assert not looked_s(timers)


def test_rows_are_looked_for_where_the_last_ones_came_soon() -> None:
    timers = begun()
    look = LoopLook(timers, MOMENT_S)
    look.reads(REPLICAS)
    assert not looked_s(timers)
    look.read(SOON_S)
    look.reads(REPLICAS)
    assert looked_s(timers) >= MOMENT_S
    look.read(0.005)
    look.reads(REPLICAS)
    assert not looked_s(timers)


class Shared(FakeTimers):
    """A clock of a core that others have for `lost_s` between any two readings."""

    lost_s = 0.0

    def time(self) -> float:
        self.now += self.lost_s
        return self.now


def test_where_others_need_the_core_it_stops_at_once_and_does_not_look_for_a_while() -> None:
    timers = Shared()
    timers.now = 100.0
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=SOON_S, apart_s=SOON_S)
    looked_s(timers)
    timers.lost_s = 0.00006
    look.sent(REPLICAS, 1)
    assert looked_s(timers) < MOMENT_S
    assert not timers.pending
    timers.lost_s = 0.0
    rested = 0
    while not looked_s(timers) and rested < 1_000:
        look.landed(REPLICAS, 1, SOON_S)
        look.sent(REPLICAS, 1)
        rested += 1
    assert 20 < rested < 1_000


def test_a_moment_of_nothing_is_never_looked_for() -> None:
    timers = begun()
    look = LoopLook(timers)
    one_after_another(look, timers, took_s=SOON_S, apart_s=SOON_S)
    look.sent(REPLICAS, 1)
    assert not looked_s(timers)


async def test_a_lone_caller_of_a_quick_model_has_the_loop_look_for_outputs_and_for_the_next_request() -> None:
    timers, backend = begun(), EchoBackend()
    predictor = Predictor({"pool": backend}, timers, Counts(), timers.time)
    route = Route(KEY.model, "salt", (Split("stable", 1, 10_000),), (Served(1, "pool"),))
    predictor.variants.adopt(RouteTable(1, {KEY.model: route}))
    predictor.look.moment_s = MOMENT_S

    async def ask() -> Caller:
        caller = Caller()
        request = Request(KEY.model, [Tensor("x", "FP32", (1, 2), row_of(1.0))], caller, timers.now)
        backend.gate.clear()
        predictor.accept(request)
        await turns()
        timers.now += SOON_S
        return caller

    async def answer(caller: Caller) -> None:
        backend.gate.set()
        await turns()
        assert caller.data == row_of(1.0)
        timers.now += SOON_S

    for _ in range(2):
        await answer(await ask())
    looked_s(timers)
    caller = await ask()
    assert looked_s(timers) > 0
    await answer(caller)
    assert looked_s(timers) > 0
    assert not looked_s(timers)


async def turns() -> None:
    """Some turns of the loop that runs the batches."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_runs_in_the_loops_own_process_is_never_looked_for() -> None:
    timers = begun()
    predictor = Predictor({"pool": Inside()}, timers, Counts(), timers.time)
    route = Route(KEY.model, "salt", (Split("stable", 1, 10_000),), (Served(1, "pool"),))
    predictor.variants.adopt(RouteTable(1, {KEY.model: route}))
    predictor.look.moment_s = MOMENT_S
    for _ in range(4):
        caller = Caller()
        predictor.accept(Request(KEY.model, [Tensor("x", "FP32", (1, 2), row_of(1.0))], caller, timers.now))
        await turns()
        assert caller.data == row_of(1.0)
        assert not looked_s(timers)
        timers.now += SOON_S


async def test_a_batch_that_fails_or_is_called_back_is_waited_for_no_more() -> None:
    timers, backend = begun(), EchoBackend()
    backend.bad.add(row_of(2.0))
    predictor = Predictor({"pool": backend}, timers, Counts(), timers.time)
    route = Route(KEY.model, "salt", (Split("stable", 1, 10_000),), (Served(1, "pool"),))
    predictor.variants.adopt(RouteTable(1, {KEY.model: route}))
    predictor.look.moment_s = MOMENT_S
    for value, leaves in ((2.0, False), (1.0, True)):
        backend.gate.clear()
        request = Request(KEY.model, [Tensor("x", "FP32", (1, 2), row_of(value))], Caller(), timers.now)
        predictor.accept(request)
        await turns()
        if leaves:
            request.leave()
        backend.gate.set()
        await turns()
    looked_s(timers)
    # Were those still away, five more callers would be too many to look for.
    for _ in range(3):
        predictor.look.sent(backend, 4)
        timers.now += SOON_S
        predictor.look.landed(backend, 4, SOON_S)
    predictor.look.sent(backend, 4)
    assert looked_s(timers) > 0


def test_a_batch_in_the_loops_own_process_ends_no_look_for_a_replica_and_tells_nothing_of_one() -> None:
    timers, inside = begun(), Inside()
    look = LoopLook(timers, MOMENT_S)
    one_after_another(look, timers, took_s=SOON_S, apart_s=SOON_S)
    looked_s(timers)
    look.sent(REPLICAS, 1)
    look.sent(inside, 16)
    look.landed(inside, 16, 0.005)
    assert looked_s(timers) >= MOMENT_S
    look.landed(REPLICAS, 1, 0.005)
    looked_s(timers)
    look.sent(inside, 1)
    look.landed(inside, 1, SOON_S)
    look.sent(REPLICAS, 1)
    assert not looked_s(timers)


class Inside(EchoBackend):
    """Runs what it is given where it is called."""

    def beside(self) -> bool:
        return False
