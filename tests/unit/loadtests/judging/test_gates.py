"""Gates against what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.generator.outcomes import UNANSWERED
from loadtests.judging.gates import Judged, judged, judged_duration
from loadtests.scenario.scenario import AllGates
from tests.unit.loadtests.judging.made import outcomes

LOAD = outcomes([1.0] * 980 + [30.0] * 10 + [0.1] * 10, [200] * 990 + [503] * 10)


def gates(document: dict[str, Any]) -> list[Judged]:
    return judged(AllGates.model_validate(document), LOAD, {"canary": LOAD})


@pytest.mark.parametrize(
    ("document", "met"),
    [
        ({"p50_ms": 1.5}, True),
        ({"p50_ms": 0.5}, False),
        ({"p99_ms": 29.0}, False),
        ({"p999_ms": 31.0}, True),
        ({"goodput": {"share": 0.98, "within_ms": 5}}, True),
        ({"goodput": {"share": 0.981, "within_ms": 5}}, False),
        ({"errors": 0.01}, True),
        ({"errors": 0.009}, False),
        ({"errors_by": {"503": 0.01}}, True),
        ({"errors_by": {"503": 0.0}}, False),
        ({"errors_by": {"unanswered": 0.0}}, True),
        ({"variants": {"canary": {"errors": 0.001}}}, False),
    ],
)
def test_a_gate_is_met_up_to_its_bound(document: dict[str, Any], met: bool) -> None:
    (gate,) = gates(document)
    assert gate.met is met


def test_a_variant_that_nobody_saw_meets_no_gate() -> None:
    (gate,) = gates({"variants": {"shadow": {"errors": 1.0}}})
    assert not gate.met
    assert "nothing was measured" in str(gate)


def test_an_endless_percentile_is_missed_and_says_why() -> None:
    load = outcomes([1.0] * 100, [200] * 90 + [UNANSWERED] * 10)
    (gate,) = judged(AllGates.model_validate({"p99_ms": 1e5}), load, {})
    assert not gate.met
    assert "never answered" in str(gate)


def test_few_requests_hold_no_percentile_with_confidence() -> None:
    rule = {"p99_ms": 100.0, "percentile_rule": True}
    few = judged(AllGates.model_validate(rule), outcomes([1.0] * 458), {})
    enough = judged(AllGates.model_validate(rule), outcomes([1.0] * 459), {})
    assert [gate.met for gate in few] == [True, False]
    assert [gate.met for gate in enough] == [True, True]


def test_who_is_refused_is_as_late_as_can_be_by_mlperf_s_rule() -> None:
    load = outcomes([1.0] * 2_000, [200] * 1_980 + [503] * 20)
    p99, rule = judged(AllGates.model_validate({"p99_ms": 100.0, "percentile_rule": True}), load, {})
    assert (p99.met, rule.met, rule.measured) == (True, False, 20)


def test_answers_with_defaults_have_a_gate_and_one_that_nobody_can_tell_is_missed() -> None:
    answers = {
        "stable": LOAD.between(0, 0.9),
        "canary": LOAD.between(0.9, 1),
        "canary-degraded": LOAD.between(0.9, 0.95),
    }
    told = {"degraded": 0.05, "variants": {"canary": {"degraded": 0.4}, "stable": {"degraded": 0.0}}}
    gates = judged(AllGates.model_validate(told), LOAD, answers)
    assert [(gate.scope, gate.measured, gate.met) for gate in gates] == [
        ("all", pytest.approx(0.05), True), ("canary", pytest.approx(0.5), False), ("stable", 0, True),
    ]  # fmt: skip
    (silent,) = judged(AllGates.model_validate({"degraded": 1.0}), LOAD, {})
    assert not silent.met


def test_a_load_that_was_too_short_is_no_valid_run() -> None:
    gates = AllGates.model_validate({"duration_s": 600})
    assert [gate.met for seconds in (599.9, 600.0) for gate in judged_duration(gates, seconds)] == [False, True]
    assert judged_duration(AllGates(), 1.0) == []
