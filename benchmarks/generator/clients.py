"""The clients that are compared, each for some seconds on a core of its own, against the same server."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from loadtests.running.run import run
from loadtests.scenario.scenario import Scenario

LATE_MS = 1.0
CALLERS = 16
# Each rate is so much above the one before.
STEP = 1.15
FIRST = 8_000.0
_RETRIES = 1
_LOCUSTS = Path(__file__).parent.parent.parent / "loadtests" / "locusts" / "closed_loop.py"

Measured = dict[str, Any]


class ClientFailed(Exception):
    """It did not tell what it did."""


@contextmanager
def server(core: int) -> Iterator[tuple[str, psutil.Process]]:
    """The server of known behaviour, which answers at once: its address and its process."""
    with on_core(core):
        command = [sys.executable, "-m", "loadtests.stub.server"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}", psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started meanwhile runs there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def open_loop(target: str, folder: Path, seconds: float) -> Measured:
    """The highest rate at which our generator's load is valid and wholly answered: rates go up until one is not, twice.

    Raises:
        ClientFailed: not even the first one is.
    """
    last: Measured | None = None
    rate = FIRST
    while (measured := _highest_of(target, folder, seconds, rate)) is not None:
        last, rate = measured, rate * STEP
    if last is None:
        raise ClientFailed(f"no valid load of {FIRST:,.0f} requests a second")
    return last


def _highest_of(target: str, folder: Path, seconds: float, rate: float) -> Measured | None:
    for _ in range(1 + _RETRIES):
        found = run(_scenario(target, folder, rate, seconds), folder)
        totals, generator = found["totals"], found["generator"]
        if found["verdict"] == "passed":
            return {
                "per_second": totals["right_per_second"],
                "cores": generator["cpu_share"][0],
                "late_p99_ms": generator["lateness"]["p99_ms"],
            }
    return None


def _scenario(target: str, folder: Path, rate: float, seconds: float) -> Scenario:
    (folder / "payload.jsonl").write_text('{"path": "/", "body": {"x": 1}}\n', encoding="utf-8")
    return Scenario.model_validate(
        {
            "name": "generator",
            "target": target,
            "users": [{"name": "one", "payload": "payload.jsonl"}],
            "shape": [{"for_s": 1, "rate": rate, "warm_up": True}, {"for_s": seconds, "rate": rate}],
            "generator": {"processes": 1},
            # The self-check's bound is a tenth of it.
            "gates": {"p99_ms": 10 * LATE_MS, "errors": 0.0},
        }
    )


def fast_caller(target: str, folder: Path, seconds: float) -> Measured:
    """Locust's FastHttpUser."""
    return _locust("FastCaller", target, folder, seconds)


def http_caller(target: str, folder: Path, seconds: float) -> Measured:
    """Locust's HttpUser."""
    return _locust("HttpCaller", target, folder, seconds)


def _locust(user: str, target: str, folder: Path, seconds: float) -> Measured:
    command = ["-f", str(_LOCUSTS), user, "--host", target, "-u", str(CALLERS), "-r", str(CALLERS)]
    command += ["--headless", "--json", "--only-summary", "-t", f"{seconds + 2:g}s", "--reset-stats"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "locust", *command], check=False, capture_output=True, text=True, cwd=folder
    )
    after, wall_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    try:
        (told,) = json.loads(ended.stdout)
    except ValueError as error:
        raise ClientFailed(f"{user} told nothing: {ended.stderr[-500:]}") from error
    if told["num_failures"]:
        raise ClientFailed(f"{user}: {told['num_failures']} of its requests failed")
    lasted_s = told["last_request_timestamp"] - told["start_time"]
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"per_second": told["num_requests"] / lasted_s, "cores": min(1.0, cpu_s / wall_s)}


CLIENTS: dict[str, Callable[[str, Path, float], Measured]] = {
    "open-loop": open_loop,
    "FastHttpUser": fast_caller,
    "HttpUser": http_caller,
}
