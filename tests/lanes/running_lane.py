"""One lane while it runs: its process, started again where a test ended it, and what it has printed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lanes import claims

# Dies with whoever started it, also where that was killed.
_DIES_WITH_US = (sys.executable, "-m", "serving.processes.launch")
_PYTEST = (sys.executable, "-m", "pytest", "-q", "--durations=10")
_PATIENT_S = 300
_MOST_STARTS = 6
_INTERRUPTED_S = 30.0


@dataclass(frozen=True, slots=True)
class Lane:
    """What one process of pytest runs; those with the same `tests` share them.

    `nice` is the kernel's; a test of a lane that leaves others the way has longer until it is said to hang. It begins
    when the lane `after` has ended, at once where that is "".
    """

    name: str
    tests: tuple[str, ...]
    nice: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    after: str = ""


class RunningLane:
    """`claimed` is the folder of those that share its tests; `code` is pytest's in the end, 1 where a test ended it."""

    def __init__(self, lane: Lane, claimed: Path) -> None:
        self.name = lane.name
        self.code: int | None = None
        self._lane = lane
        self._claimed = claimed
        self._output = claimed / f"{lane.name}.log"
        self._began = time.monotonic()
        self._starts = 0
        self._unit = ""
        self._failed = 0
        self._lost: list[str] = []
        self._process = self._start()

    def look(self) -> None:
        """Say what it has come to, and go on with the other tests where one ended its process."""
        self._say_unit()
        self._say_failures()
        code = self._process.poll()
        if code is None or self.code is not None:
            return
        if claims.ended(self._claimed, self.name) or self._starts == _MOST_STARTS:
            self.code = 1 if self._lost else code
            self._say(f"ended after {time.monotonic() - self._began:.0f} s, {self.count()}")
            return
        self._lost.append((claims.begun(self._claimed, self.name) or ["its start"])[-1])
        self._say(f"was ended by {self._lost[-1]} (code {code})")
        self._process = self._start()

    def output(self) -> str:
        """All that it printed, and before it the failures that pytest did not come to tell of."""
        untold = claims.failures(self._claimed, self.name) if self._lost else []
        return "\n".join([*untold, self._output.read_text(errors="replace")])

    def count(self) -> str:
        """How many tests passed, and which ended its process."""
        counted = self.output().rstrip().rpartition("\n")[2].strip("= ")
        return "; ".join([counted, *(f"ENDED BY {test}" for test in self._lost)])

    def end(self) -> None:
        """Wait for one that was interrupted; whatever it does then, it ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_INTERRUPTED_S)
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        self._starts += 1
        shared = {claims.FOLDER: str(self._claimed), claims.NAME: self.name}
        limit = [f"--timeout={_PATIENT_S}"] if self._lane.nice else []
        command = [*_DIES_WITH_US, str(os.getpid()), *_PYTEST, *limit, *self._lane.tests]
        with self._output.open("ab") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **self._lane.environment, **shared},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        os.setpriority(os.PRIO_PROCESS, process.pid, self._lane.nice)
        return process

    def _say_unit(self) -> None:
        unit = claims.unit_of((claims.begun(self._claimed, self.name) or [""])[-1])
        # The files of the others take less than a second each.
        if unit != self._unit and not self._lane.nice:
            self._say(unit)
        self._unit = unit

    def _say_failures(self) -> None:
        failed = claims.failures(self._claimed, self.name)
        for text in failed[self._failed :]:
            self._say(f"FAILED {text.partition(chr(10))[0]}")
        self._failed = len(failed)

    def _say(self, what: str) -> None:
        sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {self.name:8} {what}\n")
        sys.stdout.flush()
