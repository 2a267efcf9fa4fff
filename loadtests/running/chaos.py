"""What happens to the server while it is asked: each action is a program, begun at its moment, its words kept."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from loadtests.judging.gates import Judged
from loadtests.scenario.scenario import Chaos
from serving.errors import ConfigInvalid

_PATIENCE_S = 300.0
_LONGEST_TEXT = 2_000


@dataclass(slots=True)
class Mark:
    """One action; times are in seconds since the load began, `status` is the program's exit code."""

    name: str
    at_s: float
    began_s: float
    ended_s: float | None = None
    status: int | None = None
    said: str = ""

    def as_json(self) -> dict[str, Any]:
        """For results."""
        return {name: getattr(self, name) for name in self.__slots__}


def command(action: Chaos, http_port: int) -> list[str]:
    """The program with its options; the session is the one that is asked, if the action names no other.

    Raises:
        ConfigInvalid: there is no such program.
    """
    module = f"loadtests.chaos.{action.do.replace('-', '_')}"
    if find_spec("loadtests.chaos") is None or find_spec(module) is None:
        raise ConfigInvalid(f"chaos: there is no program {action.do!r} in loadtests/chaos")
    given = {"http-port": http_port, **action.arguments}
    options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", module, *options]


class ChaosRun:
    """Actions in a thread of their own; what has begun is waited for at the end, what has not is left."""

    def __init__(self, actions: Sequence[Chaos], http_port: int) -> None:
        self._todo = [
            (action, command(action, http_port)) for action in sorted(actions, key=lambda action: action.at_s)
        ]
        self._over = threading.Event()
        self._began = 0.0
        self.marks: list[Mark] = []
        self._running: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)

    def begin(self, at: float) -> None:
        """Count times from this moment of the monotonic clock."""
        self._began = at
        self._thread.start()

    def end(self) -> list[Mark]:
        """Begin no more; returns once all that has begun is over."""
        self._over.set()
        self._thread.join()
        for thread in self._running:
            thread.join()
        return self.marks

    def _run(self) -> None:
        for action, line in self._todo:
            if self._over.wait(max(0.0, self._began + action.at_s - time.monotonic())):
                return
            mark = Mark(action.do, action.at_s, time.monotonic() - self._began)
            self.marks.append(mark)
            thread = threading.Thread(target=self._carry_out, args=(mark, line), name=action.do, daemon=True)
            self._running.append(thread)
            thread.start()

    def _carry_out(self, mark: Mark, line: list[str]) -> None:
        try:
            ended = subprocess.run(line, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)  # noqa: S603 - a program of ours
            mark.status, said = ended.returncode, ended.stdout + ended.stderr
        except subprocess.TimeoutExpired:
            said = f"did not end within {_PATIENCE_S:g} s"
        mark.said = said.strip()[:_LONGEST_TEXT]
        mark.ended_s = time.monotonic() - self._began


def judged(marks: Sequence[Mark], planned: int) -> list[Judged]:
    """Every action has to have been done: a load test without its fault shows nothing."""
    gates = []
    for mark in marks:
        done = mark.status == 0
        note = "" if done else "did not end" if mark.status is None else f"exit code {mark.status}: {mark.said}"
        gates.append(Judged("chaos", mark.name, 0, mark.status, done, note))
    if len(marks) < planned:
        gates.append(Judged("chaos", "actions", planned, len(marks), met=False, note=f"only {len(marks)} were begun"))
    return gates
