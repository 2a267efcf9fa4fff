"""The search for the highest rate at which a goal holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from loadtests.capacity import Capacity, Goal, Held, Search, Tried, find, judged, over, parsed_goal
from serving.errors import ConfigInvalid

GOAL = Goal("p99", 20.0)


def searched(ask: Callable[[float, int], Tried], search: Search) -> Capacity:
    *_, found = find(ask, GOAL, search)
    assert isinstance(found, Capacity)
    return found


def refusing(capacity: float, invalid_above: float = 1e9) -> Callable[[float, int], Tried]:
    """A server that refuses what is above its capacity, and is as quick as ever otherwise."""

    def ask(rate: float, _: int) -> Tried:
        held: Held = "invalid" if rate > invalid_above else "held" if rate <= capacity else "missed"
        return Tried(rate, held, None if held == "missed" else 1.0, 0.0, "")

    return ask


def queueing(rate: float, number: int) -> Tried:
    """One worker of 2 ms for 15 s, by Lindley's recursion."""
    random = np.random.default_rng(number)
    # The wait of a single server: the random walk of service less gaps, over its lowest point so far.
    walk = np.cumsum(0.002 - random.exponential(1 / rate, int(rate * 15)))
    waits = walk - np.minimum.accumulate(np.minimum(walk, 0)) + 0.002
    p99 = float(np.quantile(waits, 0.99)) * 1e3
    return Tried(rate, "held" if p99 <= GOAL.bound_ms else "missed", p99, 0.0, "")


def queued(seed: int, rate: float, number: int) -> Tried:
    return queueing(rate, 1_000 * seed + number)


@pytest.mark.parametrize("capacity", [3.0, 90.0, 777.0, 12_345.0])
def test_a_known_capacity_is_found_within_the_share_that_was_asked_for(capacity: float) -> None:
    found = searched(refusing(capacity), Search(most_s=600))
    assert found.rate == pytest.approx(capacity, rel=0.05)
    assert found.high is not None
    assert found.low <= capacity < found.high


@pytest.mark.parametrize("seed", range(8))
def test_a_queue_s_capacity_is_found_within_5_percent_and_five_minutes_though_steps_vary(seed: int) -> None:
    found = searched(partial(queued, seed), Search())
    # By the same recursion over ten million requests, p99 is 20 ms at 387 a second.
    assert found.rate == pytest.approx(387, rel=0.05)
    assert len(found.tried) * 17 <= 300


def test_a_step_that_was_disturbed_is_made_again() -> None:
    ask = refusing(300)

    def disturbed(rate: float, number: int) -> Tried:
        return Tried(rate, "invalid", 50.0, 0.0, "late") if number in (2, 6) else ask(rate, number)

    found = searched(disturbed, Search())
    assert found.rate == pytest.approx(300, rel=0.05)
    assert [step.rate for step in found.tried][2:4] == [400, 400]


@pytest.mark.parametrize("server", [refusing(387), partial(queued, 3)])
@pytest.mark.parametrize("when", [1, 4])
def test_one_step_that_others_spoiled_is_not_taken_for_the_server_s_end(
    server: Callable[[float, int], Tried], when: int
) -> None:
    def spoiled(rate: float, number: int) -> Tried:
        return Tried(rate, "missed", 80.0, 0.0, "p99 80 ms") if number == when else server(rate, number)

    found = searched(spoiled, Search())
    assert found.rate == pytest.approx(387, rel=0.05)
    missed = [step.rate for step in found.tried if step.reason == "p99 80 ms"]
    assert [step.rate for step in found.tried].count(missed[0]) == 2


def test_the_search_ends_for_a_reason_that_it_says() -> None:
    assert "as near as was asked for" in searched(refusing(300), Search()).reason
    assert "room for" in searched(refusing(1e6), Search(most_s=60)).reason
    assert "highest rate that a load test may have" in searched(refusing(1e9), Search(most_s=3_000)).reason
    assert "not even hold" in searched(refusing(0.5), Search(most_s=3_000)).reason
    found = searched(refusing(1e9, invalid_above=1_000), Search())
    assert "the generator could not keep up at 1,600/s" in found.reason
    assert found.rate == 800


@pytest.mark.parametrize(("text", "goal"), [("p99=20ms", Goal("p99", 20)), ("p99.9=0.1s", Goal("p99.9", 100))])
def test_a_goal_is_a_percentile_and_a_bound(text: str, goal: Goal) -> None:
    assert parsed_goal(text) == goal


@pytest.mark.parametrize("text", ["p99", "p99=20", "p98=20ms", "p99=-1ms", "p99=nanms", "=", "p99=infs"])
def test_what_is_no_goal_is_told_so(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="p99=20ms"):
        parsed_goal(text)


def test_a_bucket_that_the_bound_cuts_counts_as_over() -> None:
    result = {"histogram": [(0, 10, 100), (10, 25, 7), (25, 50, 3)]}
    assert over(result, Goal("p99", 20)) == 10
    assert over(result, Goal("p99", 25)) == 3


def test_a_search_without_room_for_one_step_is_refused() -> None:
    with pytest.raises(
        ConfigInvalid, match=r"2 s have no room for a step of 1 s and 2 s of warm-up; allow 3 s or more"
    ):
        Search(step_s=1, most_s=2)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    found = [searched(partial(queued, seed), Search()) for seed in range(200)]
    known = [one for one in found if one.high is not None]
    # By steps that go on until it is narrow, it is so by luck now and then.
    assert sum(one.low <= 387 <= (one.high or 0) for one in known) / len(known) > 0.85


def test_who_was_never_answered_is_over_the_bound() -> None:
    totals = {"requests": 1_000, "right": 995, "error_share": 0.005, "by_status": {"200": 995, "unanswered": 5}}
    gate = {"measured": 1.0}
    result = {"totals": totals, "gates": [gate], "problems": [], "histogram": [(0.0, 1.0, 995)]}
    assert judged(result, Goal("p99", 20.0, errors=0.01), 100.0).held == "unsure"
    totals |= {"right": 1_000, "error_share": 0.0, "by_status": {"200": 1_000}}
    assert judged(result, Goal("p99", 20.0, errors=0.01), 100.0).held == "held"
