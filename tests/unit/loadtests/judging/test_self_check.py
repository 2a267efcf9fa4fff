"""A generator that could not keep up says so."""

from __future__ import annotations

from dataclasses import replace

from loadtests.generator.outcomes import UNSENT
from loadtests.judging.self_check import self_check
from loadtests.running.order import Account
from loadtests.scenario.scenario import AllGates, Gates
from tests.unit.loadtests.judging.made import outcomes

IDLE = Account(cpu_s=1.0, wall_s=10.0, connections=1, preempted=0, peak_mb=1.0, variants=[])
BUSY = Account(cpu_s=9.8, wall_s=10.0, connections=1, preempted=0, peak_mb=1.0, variants=[])
GATES = Gates(p99_ms=20.0)


def test_a_tenth_of_the_gate_s_bound_is_as_late_as_requests_may_leave() -> None:
    assert self_check(outcomes([1.0] * 200, late_ms=1.9), GATES, [IDLE], []).valid
    late = self_check(outcomes([1.0] * 200, late_ms=2.1), GATES, [IDLE], [])
    assert not late.valid
    assert "late at p99" in late.problems[0]


def test_every_percentile_that_is_gated_is_looked_at_and_p99_always() -> None:
    load = outcomes([1.0] * 200, late_ms=2.1)
    assert not self_check(load, Gates(p999_ms=20.0), [IDLE], []).valid
    assert not self_check(load, Gates(), [IDLE], []).valid
    assert self_check(outcomes([1.0] * 200, late_ms=0.9), Gates(), [IDLE], []).valid


def test_a_core_that_is_used_up_makes_a_load_invalid() -> None:
    found = self_check(outcomes([1.0] * 200), GATES, [IDLE, BUSY], [])
    assert found.problems == ("generator 1 used 98% of a core: name more processes, or a lower rate",)


def test_what_could_not_leave_is_told_and_is_the_server_s_doing() -> None:
    found = self_check(outcomes([1.0] * 200, [200] * 199 + [UNSENT]), GATES, [IDLE], [])
    assert found.valid
    assert "1 of 200 could not leave" in found.notes[0]


def test_what_this_machine_had_no_socket_for_is_not_the_server_s_doing() -> None:
    load = outcomes([1.0] * 200, [200] * 199 + [UNSENT])
    found = self_check(load, GATES, [IDLE, replace(IDLE, without_socket=1)], [])
    assert found.problems == ("1 found no socket: this machine has no more ports or descriptors for another one",)
    assert not found.notes


def test_a_load_of_nothing_is_invalid() -> None:
    assert self_check(outcomes([]), GATES, [IDLE], []).problems == ("nothing was sent",)


def test_a_variant_s_gate_is_as_strict_as_that_of_all() -> None:
    gates = AllGates.model_validate({"p99_ms": 100.0, "variants": {"canary": {"p99_ms": 10.0}}})
    assert self_check(outcomes([1.0] * 200, late_ms=0.9), gates, [IDLE], []).valid
    assert not self_check(outcomes([1.0] * 200, late_ms=1.1), gates, [IDLE], []).valid


def test_answers_that_lay_unread_make_a_load_invalid() -> None:
    load = outcomes([1.0] * 200)
    assert self_check(load, GATES, [replace(IDLE, read_late=1), replace(IDLE, read_late=1)], []).valid
    found = self_check(load, GATES, [IDLE, replace(IDLE, read_late=3)], [])
    assert found.problems == (
        "3 answers lay unread for over a tenth of what they took: the generator could not read as fast",
    )
