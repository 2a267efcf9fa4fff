"""The session that the ready scenarios load: it has what they ask for, and ends with whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.parts import touching, until
from tests.e2e.sluice_up import environment
from tests.integration.redis_process import free_ports


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, since unix sockets live in it."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as path:
        yield Path(path)


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
def test_the_session_of_the_scenarios_ends_with_its_program(
    tmp_path: Path, folder: Path, ended_by: signal.Signals
) -> None:
    (port,) = free_ports(1)
    ports = ("--http-port", str(port), "--grpc-port", "0", "--metrics-port", "0", "--control-port", "0")
    command = (sys.executable, "-m", "loadtests.flights_session", *ports, "--engine", "in-process")
    log = tmp_path / "log"
    surroundings = environment(TMPDIR=str(folder), XDG_RUNTIME_DIR=str(folder), PYTHONUNBUFFERED="1")
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, cwd=folder, env=surroundings, stdout=out, stderr=out, start_new_session=True
        ) as program,
    ):
        try:
            until(lambda: b"rows into route" in log.read_bytes() or program.poll() is not None, "the tables are there")
            program.send_signal(ended_by)
            assert program.wait(30) in (0, -ended_by), log.read_text()
            until(lambda: not touching(folder), "nothing is left")
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
