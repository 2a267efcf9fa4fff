"""How many replicas a pool should have: properties of the decision, and what comes of it over time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.pool.replica_load import ReplicaLoad
from serving.pool.scaling import DOWN_AT, FULL, IDLE, UP_AT, Bounds, Called, Decision, Seen, called_for, decide
from serving.wire.waits_frame import Waits

BOUNDS = Bounds(1, 8, 5.0, 60.0)
GOAL_S = 0.02
TICK_S = 0.5

SHARES = st.floats(0, 1)
PRESSURES = st.floats(0, 10)
COUNTS = st.integers(1, 20)


def load(pressure: float | None, busy: float = 1.0) -> ReplicaLoad:
    return ReplicaLoad(busy, None if pressure is None else Waits(pressure * GOAL_S, GOAL_S, 2 * GOAL_S, 7))


def seen(wished: int, pressure: float | None, busy: float = 1.0, running: int | None = None) -> Seen:
    running = wished if running is None else running
    return Seen(wished, running, [load(pressure, busy)] * running)


LOADS = st.lists(st.builds(load, st.none() | PRESSURES, SHARES), max_size=20)
POOLS = st.builds(Seen, COUNTS, st.integers(0, 20), LOADS)


@given(COUNTS, COUNTS, PRESSURES, PRESSURES, SHARES)
def test_more_waiting_never_calls_for_fewer(wished: int, running: int, one: float, other: float, busy: float) -> None:
    less, more = sorted((one, other))
    assert called_for(seen(wished, less, busy, running), BOUNDS) <= called_for(
        seen(wished, more, busy, running), BOUNDS
    )


@given(POOLS, st.integers(1, 10), st.integers(0, 10))
def test_it_stays_within_the_bounds_and_at_most_doubles_what_runs(pool: Seen, fewest: int, span: int) -> None:
    bounds = Bounds(fewest, fewest + span, 0.0, 0.0)
    wanted = decide(pool, Called(running=pool.running), 0.0, bounds).wished
    assert fewest <= wanted <= fewest + span
    assert wanted <= max(2 * pool.running, pool.wished, fewest)
    assert wanted >= min(pool.wished - 1, fewest + span)


@given(COUNTS, COUNTS, SHARES)
def test_where_nothing_is_known_nothing_changes(wished: int, running: int, busy: float) -> None:
    bounds = Bounds(1, 100, 0.0, 0.0)
    for pool in (seen(wished, None, busy, running), Seen(wished, running, []), Seen(wished, 0, [])):
        assert decide(pool, Called(running=pool.running), 1e9, bounds).wished == wished


@given(st.integers(2, 20))
def test_none_goes_while_one_is_not_heard_of(wished: int) -> None:
    quiet = seen(wished, 0.0, 0.0)
    assert called_for(quiet, Bounds(1, 20, 0, 0)) == wished - 1
    for loads in (quiet.loads[1:], [load(None, 0.0), *quiet.loads[1:]]):
        assert called_for(replace(quiet, loads=loads), Bounds(1, 20, 0, 0)) == wished


def test_between_waiting_too_long_and_not_waiting_nothing_happens() -> None:
    for pressure in (DOWN_AT + 0.01, UP_AT - 0.01):
        assert called_for(seen(3, pressure, 0.0), BOUNDS) == 3
    assert called_for(seen(3, UP_AT), BOUNDS) == 4
    assert called_for(seen(3, DOWN_AT, 0.1), BOUNDS) == 2


def test_those_who_wait_for_something_else_than_a_replica_get_none() -> None:
    assert called_for(seen(2, 3.0, IDLE - 0.01), BOUNDS) == 2
    assert called_for(seen(2, 3.0, IDLE), BOUNDS) == 4


def test_none_goes_whose_work_would_fill_the_others() -> None:
    assert called_for(seen(3, 0.0, FULL * 2 / 3 + 0.01), BOUNDS) == 3
    assert called_for(seen(3, 0.0, FULL * 2 / 3 - 0.01), BOUNDS) == 2


def test_replicas_on_their_way_are_not_called_for_again() -> None:
    assert called_for(seen(2, 9.0, running=1), BOUNDS) == 2
    assert called_for(seen(4, 9.0, running=1), BOUNDS) == 4
    assert called_for(seen(2, 9.0, running=2), BOUNDS) == 4


def test_one_that_finds_no_room_is_given_up_once_nobody_waits() -> None:
    assert called_for(seen(3, 0.0, 0.1, running=2), BOUNDS) == 2


def after(pools: list[Seen], bounds: Bounds = BOUNDS) -> Decision:
    """The first other number that is decided of these, half a second apart, or else the last decision."""
    decision = Decision(pools[0].wished, Called(running=pools[0].running))
    for number, pool in enumerate(pools):
        decision = decide(pool, decision.called, 100.0 + number * TICK_S, bounds)
        if decision.wished != pool.wished:
            break
    return decision


def test_more_are_called_for_only_without_a_break() -> None:
    waits, calm = seen(1, 1.0), seen(1, 0.3)
    assert after([waits] * 10).wished == 1
    assert after([waits] * 11).wished == 2
    assert after([waits] * 10 + [calm] + [waits] * 10).wished == 1


def test_fewer_take_longer_and_go_one_by_one() -> None:
    quiet = seen(4, 0.0, 0.0)
    assert after([quiet] * 120).wished == 4
    assert after([quiet] * 121).wished == 3
    assert after([quiet] * 60 + [seen(4, 0.3, 0.0)] + [quiet] * 119).wished == 4


def test_what_was_seen_of_other_replicas_counts_no_more() -> None:
    fewer = [seen(3, 1.0, running=2)] * 9
    assert after(fewer + [seen(3, 1.0)] * 10).wished == 3
    assert after(fewer + [seen(3, 1.0)] * 11).wished == 6


def test_the_reason_is_one_a_person_understands() -> None:
    assert after([seen(1, 1.7)] * 11).reason == "requests wait 34 ms, the goal is 40 ms"
    assert after([seen(2, 0.0, 0.25)] * 121).reason == "nobody waits, and the replicas are busy 25% of the time"
    assert after([seen(9, 0.0)] * 121).reason == "1 to 8 are configured"
    assert after([seen(1, 0.0)] * 121).reason == ""


def pressure_of(work: float, replicas: int) -> float:
    """As queues are: next to nothing while there is room, beyond all bounds where there is none."""
    share = work / replicas
    return 5.0 if share >= 1.0 else 0.1 * share / (1.0 - share)


@pytest.mark.parametrize("seconds_to_start", [0.0, 7.0, 45.0])
@given(st.floats(0, 7.5), st.integers(1, 8))
def test_constant_work_ends_in_a_number_that_can_do_it_and_stays(
    seconds_to_start: float, work: float, wished: int
) -> None:
    bounds = Bounds(1, 8, 5.0, 20.0)
    running, now = wished, 0.0
    due: list[float] = []
    called = Called(running=running)
    changes = []
    for _ in range(1_000):
        now += TICK_S
        due = [at for at in due if at > now]
        running = wished - len(due)
        pool = seen(wished, pressure_of(work, running), min(work / running, 1.0), running)
        decision = decide(pool, called, now, bounds)
        called = decision.called
        if decision.wished != wished:
            changes.append((now, decision.wished - wished))
            due += [now + seconds_to_start] * max(0, decision.wished - wished)
            wished = decision.wished
    assert work / wished < 1.0
    # Up, and then at most down: it never turns again.
    ups = [at for at, more in changes if more > 0]
    downs = [at for at, more in changes if more < 0]
    assert not ups or not downs or max(ups) < min(downs)
    assert not changes or changes[-1][0] < 400
