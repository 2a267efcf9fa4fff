"""Whether a target is met, in which direction, and by whose figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, earlier
from benchmarks.summary import Cell
from benchmarks.targets import OURS, TARGETS, judge


def cells(connections: int, figure: str, values: dict[str, list[float]]) -> list[Cell]:
    return [
        {
            "contender": name,
            "workload": "mlp",
            "connections": connections,
            "round": number,
            "failed": 0,
            "per_second": 1.0,
            "p50_us": 1.0,
            figure: value,
        }
        for name, rounds in values.items()
        for number, value in enumerate(rounds)
    ]


def judged(measured: list[Cell], text: str) -> dict[str, Any]:
    return next(target for target in judge(measured) if target["text"] == text)


def test_a_target_of_other_than_the_ray_pool_is_judged_by_its_own_figures() -> None:
    text = "in-process: p50 of one caller, to the bare handler"
    assert judged(cells(1, "p50_us", {"sluice-in-process": [125], OURS: [999], "bare": [100]}), text)["met"] is True
    assert judged(cells(1, "p50_us", {"sluice-in-process": [126], OURS: [1], "bare": [100]}), text)["met"] is False


def test_throughput_has_to_be_at_least_so_many_times_the_better_peer() -> None:
    text = "throughput, to the better mosec"
    enough = cells(64, "per_second", {OURS: [200], "mosec-0": [100], "mosec-1": [60]})
    short = cells(64, "per_second", {OURS: [199], "mosec-0": [60], "mosec-1": [100]})
    assert judged(enough, text)["met"] is True
    assert judged(short, text)["met"] is False


def test_latency_has_to_be_at_most_so_many_times_the_better_peer() -> None:
    text = "p50 of one caller, to the best Ray Serve"
    enough = cells(1, "p50_us", {OURS: [200], "ray-serve": [9000], "ray-serve-fastest": [400]})
    slow = cells(1, "p50_us", {OURS: [201], "ray-serve": [9000], "ray-serve-fastest": [400]})
    assert judged(enough, text)["met"] is True
    assert judged(slow, text)["met"] is False


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert [target["met"] for target in judge([])] == [None] * len(TARGETS)


def test_every_target_names_contenders_that_exist() -> None:
    known = {contender.name for contender in (*CONTENDERS, *earlier(Path("elsewhere")))}
    assert OURS in known
    assert {peer for target in TARGETS for peer in target.peers} <= known
