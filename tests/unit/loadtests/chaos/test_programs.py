"""Each program of chaos explains itself, and says what it could not do."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import loadtests.chaos.slow_valkey
import loadtests.chaos.start_rollout
from loadtests.chaos.kill_replica import title
from loadtests.chaos.session import NotDone, carry_out
from loadtests.chaos.slow_valkey import slow

PROGRAMS = sorted(
    path.stem
    for path in Path(loadtests.chaos.slow_valkey.__file__).parent.glob("*.py")
    if "def main" in path.read_text()
)


class FakeServer:
    def __init__(self) -> None:
        self.told: list[str] = []

    def suspend(self) -> None:
        self.told.append("stop")

    def resume(self) -> None:
        self.told.append("go")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeping is what makes time pass."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    time = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr("loadtests.chaos.slow_valkey.time", time)
    return now


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_explains_itself(program: str) -> None:
    command = [sys.executable, "-m", f"loadtests.chaos.{program}", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "--http-port" in told.stdout


@pytest.mark.usefixtures("signals")
def test_what_could_not_be_done_is_one_line_and_exit_code_1() -> None:
    def act() -> str:
        raise NotDone("no session of yours serves port 1")

    with pytest.raises(SystemExit, match="not done: no session of yours serves port 1"):
        carry_out(act)


@pytest.fixture
def signals() -> Iterator[None]:
    """As they were before."""
    kept = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield
    for each, handler in kept.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_program_that_is_stopped_undoes_what_it_began_and_says_so(stop: signal.Signals) -> None:
    undone = []

    def act() -> str:
        try:
            signal.raise_signal(stop)
        finally:
            # Whoever stops it twice, or from a terminal and by the load test, shall not stop this.
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            undone.append(True)
        return "done"

    with pytest.raises(SystemExit, match="stopped before its end"):
        carry_out(act)
    assert undone


@pytest.mark.usefixtures("signals")
def test_a_rollout_that_nobody_waits_for_any_more_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, ...]] = []

    def sluice(*arguments: str) -> str:
        told.append(arguments[:3])
        if arguments[1] == "wait":
            signal.raise_signal(signal.SIGTERM)
        return ""

    monkeypatch.setattr("loadtests.chaos.start_rollout.sluice", sluice)
    monkeypatch.setattr("sys.argv", ["start_rollout", "--model", "m", "--version", "3"])
    with pytest.raises(SystemExit, match="stopped before its end"):
        loadtests.chaos.start_rollout.main()
    assert told == [("rollout", "start", "m"), ("rollout", "wait", "m"), ("rollout", "abort", "m")]


def test_a_slowed_server_always_goes_on_at_the_end(clock: list[float]) -> None:
    server = FakeServer()
    slow(server, 1.0, 0.8)
    assert server.told.count("stop") == pytest.approx(20, abs=1)
    assert server.told[-1] == "go"
    assert clock[0] == pytest.approx(1.0, abs=0.06)


def test_a_standstill_is_one_stop(clock: list[float]) -> None:
    server = FakeServer()
    slow(server, 2.0, 1.0)
    assert server.told == ["stop", "go", "go"]
    assert clock[0] == pytest.approx(2.0)


def test_a_replica_is_known_by_its_pool_and_not_by_one_that_begins_alike() -> None:
    of_ray = "ray::ServeReplica:pool-default-2:Replica"
    assert title("") in of_ray
    assert title("default-2") in of_ray
    assert title("default") not in of_ray
