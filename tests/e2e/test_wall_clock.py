"""The wall clock steps by days under a real session that has work to do: nobody notices."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from serving.testing.models import doubler, save
from tests.e2e.parts import until
from tests.e2e.scrape import told
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.wall_clock import COMPILER, DAY_S, WallClock

pytestmark = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="the clock of a process is moved by a library made from C"
)

BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0]}]})
PATH = "/v2/models/doubler/infer"
CALLERS = 4
EVERY_S = CALLERS / 200
STEPS = (DAY_S, 0, -DAY_S, DAY_S, -DAY_S, 0)
STILL_S = 1.0


class Load:
    """200 requests a second, from callers who each wait for their answer; `statuses` counts those."""

    def __init__(self, session: SluiceUp) -> None:
        self.statuses: Counter[int] = Counter()
        self.wrong = 0
        self._session = session
        self._over = threading.Event()
        self._counting = threading.Lock()

    def run(self, meanwhile: Callable[[], None]) -> None:
        with ThreadPoolExecutor(CALLERS) as pool:
            callers = [pool.submit(self._call) for _ in range(CALLERS)]
            try:
                meanwhile()
            finally:
                self._over.set()
            for caller in callers:
                caller.result()

    def _call(self) -> None:
        with self._session.connect() as connection:
            due = time.monotonic()
            while not self._over.is_set():
                reply = connection.request("POST", PATH, BODY.encode())
                with self._counting:
                    self.statuses[reply.status] += 1
                    self.wrong += reply.status != 200 or reply.json()["outputs"][0]["data"] != [2.0, 4.0, 6.0, 8.0]
                due += EVERY_S
                self._over.wait(max(0.0, due - time.monotonic()))


def last_inference(session: SluiceUp) -> float:
    """When a worker says that it last answered, in seconds of its wall clock."""
    with session.connect() as connection:
        stats: dict[str, Any] = connection.request("GET", "/v2/models/doubler/versions/1/stats").json()
    return float(stats["model_stats"][0]["last_inference"]) / 1e3


def stands_at(session: SluiceUp, shift_s: int) -> bool:
    """Whether the worker's wall clock is so far from ours."""
    return abs(last_inference(session) - time.time() - shift_s) < DAY_S / 2


@pytest.mark.parametrize("engine", ["in-process", "ray"])
def test_a_wall_clock_that_steps_by_days_does_nothing(
    start: Callable[..., SluiceUp], tmp_path: Path, engine: str
) -> None:
    clock = WallClock(tmp_path)
    save(tmp_path / "models", "doubler", 1, doubler())
    config = tmp_path / "sluice.yaml"
    model = {"latency_slo_ms": 20_000, "deadline_ms": 20_000}
    config.write_text(json.dumps({"models": {"doubler": model}, "control": {"port": None}}))
    session = start("--models", tmp_path / "models", "--config", config, engine=engine, **clock.environment)
    load = Load(session)

    def steps() -> None:
        for shift_s in STEPS:
            time.sleep(STILL_S)
            clock.step(shift_s)
            # The step has reached the worker: else nothing is shown.
            until(partial(stands_at, session, shift_s), f"the worker's clock stands {shift_s} s off")
        time.sleep(STILL_S)

    load.run(steps)
    assert set(load.statuses) == {200}, load.statuses
    assert not load.wrong
    answered = load.statuses[200]
    assert answered > 200 * STILL_S
    page = told(session)
    assert page.total("sluice_requests_total", model="doubler", outcome="ok") >= answered
    assert page.total("sluice_requests_total", model="doubler", outcome="ok") == page.total(
        "sluice_requests_total", model="doubler"
    )
    # Sums of durations would tell of one that was negative, or of a day.
    for stage in ("queue", "run", "total"):
        seconds = page.total("sluice_stage_seconds_sum", model="doubler", stage=stage)
        assert 0.0 < seconds < answered * 1.0, stage
    assert page.total("sluice_loop_lag_seconds") < 60.0
    assert page.total("sluice_restarts_total") == 0
    assert page.total("sluice_ready") == 1
