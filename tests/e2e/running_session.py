"""A session of `sluice up` in a process of its own, for tests that ask it something."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.cli.sluice_command import PROGRAM, ROOT, environment

FLIGHTS = ROOT / "deployments/flights/models"


@dataclass(frozen=True, slots=True)
class RunningUp:
    """Its process, where it is, and what it has printed so far."""

    process: subprocess.Popen[bytes]
    url: str
    metrics: str
    log: Path

    @property
    def port(self) -> str:
        """The HTTP port."""
        return self.url.rsplit(":", 1)[1]


@contextmanager
def running_up(folder: Path, *arguments: str, ready_s: float = 90) -> Iterator[RunningUp]:
    """`sluice up` with free ports, ready; ended cleanly afterwards. Everything of it lives in `folder`."""
    log = folder / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *PROGRAM,
                "up",
                "--http-port",
                "0",
                "--grpc-port",
                "0",
                "--metrics-port",
                "0",
                "--control-port",
                "0",
                *arguments,
            ],
            cwd=ROOT,
            env=environment(TMPDIR=str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _ready(process, log, ready_s)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path, ready_s: float) -> RunningUp:
    ends_at = time.monotonic() + ready_s
    while True:
        text = log.read_text()
        assert process.poll() is None, text
        url, metrics = re.search(r"predictions +(\S+)", text), re.search(r"metrics +(\S+)", text)
        if url and metrics and "Ctrl-C stops" in text:
            return RunningUp(process, url.group(1), metrics.group(1), log)
        assert time.monotonic() < ends_at, text
        time.sleep(0.05)
