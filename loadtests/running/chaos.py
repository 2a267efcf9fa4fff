"""What happens to the server while it is asked: each action is a program, begun at its moment, its words kept."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Self

from loadtests.judging.gates import Judged
from loadtests.scenario.scenario import Chaos
from serving.errors import ConfigInvalid

_PATIENCE_S = 300.0
# From SIGTERM, by which a program undoes what it began, to SIGKILL, by which it would not.
_UNDOING_S = 10.0
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
        ConfigInvalid: there is no such program, or it has no such options.
    """
    module = module_of(action.do)
    # What the programs have in common lies beside them, ends with exit code 0, and does nothing.
    if find_spec(module) is None or not hasattr(import_module(module), "main"):
        raise ConfigInvalid(f"chaos: there is no program {action.do!r} in loadtests/chaos")
    given = {"http-port": http_port, **action.arguments}
    options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    _check_options(action.do, import_module(module).arguments(), options)
    return [sys.executable, "-m", module, *options]


def _check_options(program: str, parser: ArgumentParser, options: list[str]) -> None:
    """By the program's own rules, before minutes of a load are asked for nothing."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            parser.parse_args(options)
    except SystemExit:
        # argparse says how it is used first, and then what was wrong.
        wrong = said.getvalue().strip().rpartition("error: ")[2].splitlines()[-1]
        raise ConfigInvalid(f"chaos: {program}: {wrong}; `python -m {module_of(program)} --help` tells") from None


def module_of(program: str) -> str:
    """Where the program stands."""
    return f"loadtests.chaos.{program.replace('-', '_')}"


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
        self._programs: list[subprocess.Popen[str]] = []
        self._at_once = False
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)

    def begin(self, at: float) -> None:
        """Count times from this moment of the monotonic clock."""
        self._began = at
        self._thread.start()

    def end(self, *, at_once: bool = False) -> list[Mark]:
        """Begin no more; returns once all that has begun is over, which Ctrl-C or `at_once` does not wait for."""
        self._over.set()
        try:
            if not at_once:
                self._join()
        except KeyboardInterrupt:
            at_once = True
        if at_once:
            self._at_once = True
            for program in self._programs:
                program.terminate()
            self._join()
        return self.marks

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened, nothing that was begun outlives the load."""
        self.end(at_once=True)

    def _join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()
        for thread in self._running:
            thread.join()

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
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:  # noqa: S603 - ours
            self._programs.append(program)
            if self._at_once:
                program.terminate()
            try:
                said = "".join(program.communicate(timeout=_PATIENCE_S))
                mark.status = program.returncode
            except subprocess.TimeoutExpired:
                said = f"did not end within {_PATIENCE_S:g} s: {stopped(program)}"
        mark.said = said.strip()[:_LONGEST_TEXT]
        mark.ended_s = time.monotonic() - self._began


def stopped(program: subprocess.Popen[str]) -> str:
    """What it said at its end."""
    program.terminate()
    try:
        return "".join(program.communicate(timeout=_UNDOING_S))
    except subprocess.TimeoutExpired:
        program.kill()
        return "".join(program.communicate())


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
