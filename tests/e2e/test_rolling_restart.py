"""Gateway workers are replaced under load, and a client that never retries notices nothing."""

from __future__ import annotations

import logging
import subprocess
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from serving.testing.load_client import Load, Report, running
from tests.e2e.conftest import Start
from tests.e2e.doubling import LONG, patiently, save_models
from tests.e2e.parts import WORKER, parts, until
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment

log = logging.getLogger(__name__)

REQUESTS = 20_000 if LONG else 3_000
RATE = 500
RESTARTS = 3 if LONG else 1


@pytest.mark.timeout(180)
# What one worker's restart loses is seen by tests/e2e/test_zero_drop.py as well.
@pytest.mark.parametrize("workers", [1, 2] if LONG else [2])
def test_a_rolling_restart_fails_no_request_of_a_client_that_never_retries(
    tmp_path: Path, start: Start, workers: int
) -> None:
    session = start("--models", save_models(tmp_path), "--workers", str(workers))
    before = _pids(session)
    reports = _restarted_under_load(session)
    log.info("%s", {name: str(report) for name, report in reports.items()})
    assert {name: report.failures[:5] for name, report in reports.items() if report.failures} == {}
    assert sum(report.asked for report in reports.values()) >= REQUESTS
    assert len(before) == workers
    until(lambda: len(_pids(session)) == workers, "the predecessors end")
    assert not before & _pids(session)


def _pids(session: SluiceUp) -> set[int]:
    return {worker.pid for worker in parts(session, WORKER)}


def _restarted_under_load(session: SluiceUp) -> dict[str, Report]:
    """Connections that are always used, others that are mostly idle, and a new one for each request."""
    load = partial(Load, session.port, patiently, most=10 * REQUESTS, for_s=150)
    shares = {
        "kept alive": load(rate=RATE * 0.59, callers=48),
        "fresh": load(rate=RATE * 0.4, fresh=True),
        # Each of them is used every four seconds.
        "idle": load(rate=RATE * 0.01, callers=20),
    }
    with ExitStack() as stack:
        loads = {name: stack.enter_context(running(share)) for name, share in shares.items()}
        until(lambda: len(loads["kept alive"].report.good) > RATE // 2, "the load is under way")
        for _ in range(RESTARTS):
            restart(session)
        until(lambda: sum(one.report.asked for one in loads.values()) >= REQUESTS, "all is asked", within_s=100)
        return {name: one.stop() for name, one in loads.items()}


def restart(session: SluiceUp) -> None:
    """`sluice restart`; returns when the last worker was replaced."""
    command = [*PROGRAM, "restart", "--http-port", str(session.port)]
    run_dir = session.folder / "run"
    told = subprocess.run(
        command,
        env=environment(TMPDIR=str(session.folder / "tmp"), XDG_RUNTIME_DIR=str(run_dir)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told
