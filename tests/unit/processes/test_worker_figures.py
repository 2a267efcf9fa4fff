"""What a worker is held against, as rules of Prometheus use it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving.config.settings import Settings
from serving.inference import VersionKey
from serving.processes.worker_figures import WorkerFigures, bound_of
from serving.routing.table import Served
from serving.telemetry.buckets import SECONDS
from serving.telemetry.memory import Memory
from serving.telemetry.recorder import Recorder


@pytest.mark.parametrize(("goal", "bound"), [(0.02, 0.02), (0.021, 0.05), (1.0, 1.0), (60.0, 10.0), (1e-6, 1e-4)])
def test_a_goal_becomes_the_bound_that_it_lies_below(goal: float, bound: float) -> None:
    assert bound_of(goal) == bound
    assert bound in SECONDS


def variant(model: str, slo_us: int) -> Any:
    return SimpleNamespace(key=VersionKey(model, 1), served=Served(1, "default", latency_slo_us=slo_us))


def test_goals_are_told_of_models_that_promise_one(tmp_path: Path) -> None:
    recorder = Recorder()
    figures = WorkerFigures(Settings(), Memory(tmp_path))
    figures.tell(recorder, [variant("a", 20_000), variant("a", 30_000), variant("b", 0)])
    figures.tell_least(recorder, "default-trial")
    told = {(name, *labels): value for name, labels, value in recorder.snapshot()["gauges"]}
    assert told["sluice_latency_goal_seconds", "a"] == 0.05
    assert ("sluice_latency_goal_seconds", "b") not in told
    assert told["sluice_pool_min_replicas", "default-trial"] == 1
    assert told["sluice_memory_limit_bytes",] == 0
