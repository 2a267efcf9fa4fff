"""Starts the engine as the supervisor does, asks it what happens, and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serving.pool.pool_spec import PoolSpec, dump
from serving.processes.session_members import end_members, members, started_at

ROOT = Path(__file__).parents[3]


class Engine:
    """One `ray_engine` process with its cluster, in a directory of its own."""

    def __init__(self, folder: Path, session: str) -> None:
        self.folder = folder
        self.session = session
        self._process: subprocess.Popen[str] | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._leaders: dict[int, str] = {}
        self.events: list[dict[str, Any]] = []

    def start(self, pools: Iterable[PoolSpec]) -> None:
        spec = self.folder / "spec.json"
        spec.write_text(json.dumps({"run_dir": str(self.folder), "pools": [dump(pool) for pool in pools]}))
        # What this process joined another cluster with is not for a head.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment = {**kept, "SLUICE_SESSION": self.session, "PYTHONPATH": str(ROOT)}
        with (self.folder / "engine.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serving.processes.ray_engine", "--spec", str(spec)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                text=True,
                start_new_session=True,
            )
        self._leaders = {self._process.pid: started_at(self._process.pid)}
        # The cluster ends with the tests, also where they are ended in the middle.
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "serving.processes.guardian", self.session, str(self.folder)],
            stdin=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        assert self._guardian.stdin is not None
        for leader, began in self._leaders.items():
            self._guardian.stdin.write(f"{leader} {began}\n".encode())
        self._guardian.stdin.flush()

    def until(self, kind: str) -> dict[str, Any]:
        """The next event of a kind; the test's own time-out bounds the wait."""
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self.events.append(json.loads(line))
                if self.events[-1]["type"] == kind:
                    return self.events[-1]
        raise AssertionError((self.folder / "engine.log").read_text()[-4000:])

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(40)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def wait(self, within_s: float) -> int:
        """Its exit code, when it ends by itself."""
        assert self._process is not None
        return self._process.wait(within_s)

    def processes(self) -> dict[int, str]:
        """Everything of the session, found as the guardian finds it: process id to command."""
        found = {}
        for pid in members(self.session, self._leaders):
            with contextlib.suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def replicas(self, pool: str) -> list[int]:
        """Process ids of a pool's replicas."""
        title = f"ray::ServeReplica:pool-{pool}:"
        return [pid for pid, command in self.processes().items() if command.startswith(title)]

    def end_all(self) -> None:
        """Whatever is left of it."""
        if self._guardian is not None:
            end_members(self.session, self._leaders, patience_s=0.0)
            self._guardian.communicate()
        if self._process is not None:
            self._process.wait(10)
            assert self._process.stdout is not None
            self._process.stdout.close()

    def until_gone(self, within_s: float = 15.0) -> dict[int, str]:
        """What is still there after that time."""
        ends = time.monotonic() + within_s
        while (left := self.processes()) and time.monotonic() < ends:
            time.sleep(0.1)
        return left
