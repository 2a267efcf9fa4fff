"""When a node is left alone, and when it is asked again; the clock is the test's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.features.store.breaker import Breaker, BreakerOptions, Outcome

OPTIONS = BreakerOptions(window=10, fewest=4, first_pause_s=1.0, longest_pause_s=4.0, probes=2)


class Bench:
    def __init__(self) -> None:
        self.now = 100.0
        self.breaker = Breaker(OPTIONS, lambda: self.now)

    def state(self) -> str:
        return self.breaker.state

    def see(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            assert self.breaker.allows()
            self.breaker.ended(outcome)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("bad", ["failed", "slow"])
def test_it_opens_at_half_of_the_last_reads_and_not_before_there_are_some(bench: Bench, bad: Outcome) -> None:
    bench.see(bad, bad, bad)
    assert bench.state() == "closed"
    bench.see(bad)
    assert bench.state() == "open"
    assert not bench.breaker.allows()


def test_a_few_bad_reads_among_good_ones_change_nothing(bench: Bench) -> None:
    for _ in range(20):
        bench.see("good", "good", "slow", "good", "failed", "good")
    assert bench.state() == "closed"


def test_only_the_last_reads_count(bench: Bench) -> None:
    for _ in range(1_000):
        bench.see("good")
    bench.see("slow", "slow", "slow", "slow")
    assert bench.state() == "closed"
    bench.see("slow")
    assert bench.state() == "open"


def test_after_its_pause_one_read_at_a_time_tries_and_enough_good_ones_close_it(bench: Bench) -> None:
    bench.see("slow", "slow", "slow", "slow")
    bench.now += 0.99
    assert not bench.breaker.allows()
    bench.now += 0.01
    assert bench.breaker.allows()
    assert bench.state() == "half_open"
    assert not bench.breaker.allows(), "the first one has not ended"
    bench.breaker.ended("good")
    bench.see("good")
    assert bench.state() == "closed"
    bench.see("failed", "failed", "failed")
    assert bench.state() == "closed", "what was before is forgotten"


def test_each_probe_that_goes_wrong_doubles_the_pause_up_to_a_bound(bench: Bench) -> None:
    bench.see("failed", "failed", "failed", "failed")
    for pause_s in (1.0, 2.0, 4.0, 4.0):
        bench.now += pause_s - 0.01
        assert not bench.breaker.allows()
        bench.now += 0.02
        assert bench.breaker.allows()
        bench.breaker.ended("slow")
    bench.now += 5
    bench.see("good", "good")
    bench.see("failed", "failed", "failed", "failed")
    bench.now += 1.0
    assert bench.breaker.allows(), "closed in between, it begins with the first pause"


def test_another_connection_begins_anew(bench: Bench) -> None:
    bench.see("failed", "failed", "failed", "failed")
    bench.breaker.reset()
    assert bench.breaker.allows()
    bench.breaker.ended("good")
    assert bench.state() == "closed"


@given(st.lists(st.sampled_from(["good", "failed", "slow", "wait"]), max_size=200))
def test_whatever_happens_it_is_asked_again_within_its_longest_pause(happenings: list[str]) -> None:
    bench = Bench()
    for one in happenings:
        if one == "wait":
            bench.now += 0.5
        elif bench.breaker.allows():
            bench.breaker.ended(one)  # type: ignore[arg-type]
    bench.now += OPTIONS.longest_pause_s
    assert bench.breaker.allows()


def test_it_is_due_when_the_next_read_would_be_let_through_to_try(bench: Bench) -> None:
    def due() -> bool:
        return bench.breaker.due

    bench.see("slow", "slow", "slow")
    assert not due()
    bench.see("slow")
    assert not due()
    bench.now += 1.0
    assert due()
    assert bench.breaker.allows()
    assert not due(), "one tries already"
    bench.breaker.ended("good")
    assert due(), "and so may the next"
