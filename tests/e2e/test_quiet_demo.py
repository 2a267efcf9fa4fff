"""The demo, left alone for ten minutes, alarms nobody: by the rules of production, and by the same in a hurry."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.parts import until
from tests.e2e.prometheus import BINARY, Prometheus
from tests.e2e.sluice_up import DIES_WITH_US, PROGRAM, environment
from tests.integration.redis_process import free_ports

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="needs Debian's package prometheus"),
    pytest.mark.skipif(not os.environ.get("SLUICE_LONG"), reason="takes ten minutes; SLUICE_LONG=1 runs it"),
    pytest.mark.timeout(900),
]
QUIET_S = 600.0


@contextmanager
def demo(metrics_port: int) -> Iterator[None]:
    """`sluice demo` as in the README; four callers ask for flights all the while."""
    # Short, since unix sockets live in it.
    folder = Path(tempfile.mkdtemp(prefix="e2e-"))
    command = (*PROGRAM, "demo", "--http-port", "0", "--metrics-port", str(metrics_port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*DIES_WITH_US, str(os.getpid()), *command],
            cwd=folder,
            env=environment(TMPDIR=str(folder), XDG_RUNTIME_DIR=str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(prometheus: Prometheus, expression: str) -> bool:
    try:
        return bool(prometheus.ask(expression))
    except OSError:
        return False


def _beside(stack: ExitStack, folder: Path, port: int, by: float) -> Prometheus:
    one = Prometheus(folder / f"by{by:g}", port, by)
    stack.callback(one.close)
    return one


def test_no_alert_fires_in_ten_quiet_minutes_of_the_demo(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with ExitStack() as stack:
        stack.enter_context(demo(port))
        watching = [_beside(stack, tmp_path, port, 1.0)]
        until(lambda: _answers(watching[0], "sluice_ready == 1"), "the demo is ready", 120)
        # A start takes as long as it does: minutes for who is in a hurry.
        watching.append(_beside(stack, tmp_path, port, 60.0))
        time.sleep(QUIET_S)
        fired = [one.ask('sum by (alertname) (count_over_time(ALERTS{alertstate="firing"}[15m]))') for one in watching]
        asked = watching[0].ask("sum(increase(sluice_requests_total[10m])) > 10000")
    assert fired == [[], []]
    assert asked
