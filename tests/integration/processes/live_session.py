"""Starts a supervisor in a process of its own for a test, hears its events, asks its gateway, leaves nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from serving.processes.session_members import SESSION_VARIABLE, end_members

ROOT = Path(__file__).resolve().parents[3]
MODELS = [{"model": "m", "version": 1, "path": "x", "default": True}]
PATIENCE_S = 20.0

Facts = dict[str, Any]


class LiveSession:
    """`temp` stands for the machine's temporary directory, so that what is left behind is seen."""

    def __init__(self, temp: Path, **plan: Any) -> None:
        builder = "tests.integration.processes.fake_gateway:build"
        defaults = {"http_port": 0, "metrics_port": None, "models": MODELS, "gateway_builder": builder, "grace_s": 3}
        environment = {**os.environ, "TMPDIR": str(temp), "PYTHONPATH": str(ROOT)}
        environment.pop("XDG_RUNTIME_DIR", None)
        self.temp = temp
        self.events: list[Facts] = []
        self._unseen: list[Facts] = []
        self._over = False
        self._news = threading.Condition()
        command = [sys.executable, "-m", "tests.integration.processes.run_session", json.dumps({**defaults, **plan})]
        with (temp / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, env=environment, start_new_session=True
            )
        self._hearing = threading.Thread(target=self._hear)
        self._hearing.start()

    def heard(self, kind: str, part: str = "") -> Facts:
        """The first event of this kind that was not waited for yet."""
        with self._news:
            found = self._news.wait_for(lambda: self._taken(kind, part) or self._over, PATIENCE_S)
        if isinstance(found, dict):
            return found
        raise AssertionError(f"no {kind} {part}; heard {self.events}; {(self.temp / 'stderr').read_text()}")

    def running(self) -> Facts:
        """Ports and run directory, once it is ready."""
        self.about = self.heard("running")
        return self.about

    def get(self, path: str = "/x", timeout_s: float = 10.0) -> Facts:
        """One answer over a fresh connection."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.about['http_port']}{path}", timeout=timeout_s) as answer:
            body = answer.read()
            return json.loads(body) if body.startswith(b"{") else {"text": body.decode()}

    def provoke(self, path: str) -> None:
        """A request that is not answered."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.get(path, timeout_s=0.5)

    def metrics(self) -> str:
        """One scrape."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.about['metrics_port']}/metrics") as answer:
            return str(answer.read().decode())

    def left(self) -> set[int]:
        """Processes that carry this session's mark."""
        mark = f"{SESSION_VARIABLE}={self.about['session']}".encode()
        found = set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    found.add(int(path.parent.name))
        return found

    def remains(self) -> list[str]:
        """Files of the session in the temporary directory, and its processes."""
        return [p.name for p in self.temp.iterdir() if p.name != "stderr"] + [f"process {p}" for p in self.left()]

    def gone_within(self, seconds: float = 15.0) -> bool:
        """Nothing remains of it."""
        return until(lambda: not self.remains(), seconds)

    def end(self) -> None:
        """By force, whatever the test came to."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if hasattr(self, "about"):
            until(lambda: not self.remains(), 1.0)
            end_members(self.about["session"], {}, patience_s=0.2)
        self._hearing.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _taken(self, kind: str, part: str) -> Facts | None:
        for event in self._unseen:
            if event["kind"] == kind and part in event.get("part", ""):
                self._unseen.remove(event)
                return event
        return None

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.events.append(json.loads(line))
                self._unseen.append(self.events[-1])
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Look again and again until it holds, or the time is up."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def live_session(temp: Path, **plan: Any) -> Iterator[LiveSession]:
    """For the length of a test."""
    session = LiveSession(temp, **plan)
    try:
        yield session
    finally:
        session.end()
