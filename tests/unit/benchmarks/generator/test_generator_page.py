"""What the section on the generator shows."""

from __future__ import annotations

from typing import Any

from benchmarks.generator.page import ratio, render, target_met


def results(*turns: tuple[str, int, float]) -> dict[str, Any]:
    told = [
        {"client": name, "round": number, "per_second": rate, "cores": 0.9, "late_p99_ms": 0.25}
        for name, number, rate in turns
    ]
    head = {"began": "2026-01-01", "method": "As it is.", "machine": {"commit": "abc"}, "rounds": 2, "seconds": 5.0}
    return {**head, "problems": [], "turns": told, "others_cores": 0.1}


def test_ratios_are_of_one_round_and_then_their_median() -> None:
    found = results(
        ("open-loop", 0, 30_000), ("FastHttpUser", 0, 3_000), ("open-loop", 1, 10_000), ("FastHttpUser", 1, 5_000)
    )
    assert ratio(found, "open-loop") == 6.0
    assert "| the generator, open loop | 20,000 (10,000-30,000) | 90% | 0.25 | 6.00 |" in render(found)


def test_a_generator_that_does_less_than_it_should_is_told() -> None:
    slow = results(("open-loop", 0, 3_500), ("FastHttpUser", 0, 3_000))
    assert not target_met(slow)
    assert "does: **missed**" in render(slow)
    assert target_met(results(("open-loop", 0, 3_600), ("FastHttpUser", 0, 3_000)))


def test_a_machine_that_others_used_is_told() -> None:
    found = results(("open-loop", 0, 30_000))
    assert "not quiet" not in render(found)
    assert "others used up to 0.70 cores" in render({**found, "others_cores": 0.7})


def test_who_has_nobody_beside_it_meets_no_target() -> None:
    alone = results(("open-loop", 0, 30_000))
    assert not target_met(alone)
    assert "| 30,000 (30,000-30,000) | 90% | 0.25 |  |" in render(alone)
