"""A contender's processes are found whatever they do to be apart, and whoever else runs is not."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from benchmarks.family import Family

MARK = "MARKED"
SLEEP = "import time; time.sleep(120)"
# A leader that starts what its arguments say, tells its number, and waits.
LEADER = f"""
import os, subprocess, sys, time
apart, marked = sys.argv[1:]
environment = dict(os.environ) if marked == "marked" else {{}}
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], env=environment, start_new_session=apart == "apart")
print(child.pid, flush=True)
time.sleep(120)
"""


class Started:
    """A leader and its child."""

    def __init__(self, apart: str, marked: str) -> None:
        mark = uuid.uuid4().hex
        command = [sys.executable, "-c", LEADER, apart, marked]
        self.leader = subprocess.Popen(
            command, env={**os.environ, MARK: mark}, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.leader.stdout is not None
        self.child = psutil.Process(int(self.leader.stdout.readline()))
        self.leader.stdout.close()
        self.family = Family(self.leader.pid, mark)

    def found(self) -> set[int]:
        return {process.pid for process in self.family.living()}

    def end(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self.child.kill()
        self.leader.kill()
        self.leader.wait()


@pytest.fixture(params=[("beside", "unmarked"), ("apart", "marked"), ("apart", "unmarked")], ids="-".join)
def started(request: pytest.FixtureRequest) -> Iterator[Started]:
    made = Started(*request.param)
    yield made
    made.end()


def test_everybody_whom_the_leader_started_belongs_to_it_and_nobody_else_does(started: Started) -> None:
    assert started.found() == {started.leader.pid, started.child.pid}


def test_who_was_seen_belongs_to_it_also_when_the_leader_has_gone_until_it_ends(started: Started) -> None:
    started.found()
    started.leader.kill()
    started.leader.wait()
    assert started.found() == {started.child.pid}
    started.child.kill()
    psutil.wait_procs([started.child], timeout=10)
    assert started.found() == set()
