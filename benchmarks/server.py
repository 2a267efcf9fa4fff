"""One contender as processes: started in a session of its own, waited for, its CPU time read, all of it ended."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from http import HTTPStatus
from pathlib import Path

import psutil

from benchmarks.asking import Failed, asker, port_for
from benchmarks.check import difference_from
from benchmarks.contenders import Contender
from benchmarks.family import Family
from benchmarks.peers.ray_cluster import free_port
from benchmarks.workload import Workload

MARK = "BENCHMARK_TURN"
STOP_WITHIN_S = 20.0
_PR_SET_PDEATHSIG = 1


class Server:
    """A running contender; `scratch` is removed with it."""

    def __init__(self, contender: Contender, models: Path) -> None:
        self._contender = contender
        mark = uuid.uuid4().hex
        # Short: Ray puts unix sockets below it, whose paths may have 107 characters.
        self.scratch = Path(tempfile.mkdtemp(prefix="turn-"))
        self.port = free_port()
        self.grpc_port = free_port()
        self.metrics_port = free_port()
        command = contender.command((self.port, self.grpc_port, self.metrics_port), models, self.scratch)
        self.log = self.scratch / "output.log"
        with self.log.open("wb") as log:
            self._leader = subprocess.Popen(
                command,
                cwd=contender.root,
                env={**os.environ, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 -- no thread runs between two turns
            )
        self._family = Family(self._leader.pid, mark)
        self.started_at = time.monotonic()

    def wait_ready(self, workload: Workload) -> float:
        """Seconds from the start to the first right answer.

        Raises:
            RuntimeError: it ended, or its time was up; the text has the end of its log.
        """
        last: str | None = ""
        while time.monotonic() - self.started_at < self._contender.ready_s:
            if self._leader.poll() is not None:
                raise RuntimeError(f"ended with {self._leader.returncode} before its first answer: {self._tail()}")
            last = self._ask(workload)
            if last is None:
                return time.monotonic() - self.started_at
            time.sleep(0.05)
        raise RuntimeError(f"no right answer within {self._contender.ready_s:.0f} s, but {last}; {self._tail()}")

    def _ask(self, workload: Workload) -> str | None:
        """What came instead of a right answer."""
        connection = asker(port_for(self, workload), workload, timeout_s=2)
        try:
            reply = connection.ask(workload, 0)
        except Failed as error:
            return repr(error)
        finally:
            connection.close()
        right = reply.status == HTTPStatus.OK and difference_from(workload, 0, reply) <= 1
        return None if right else f"{reply.status} {reply.body[:300]!r}"

    def processes(self) -> list[psutil.Process]:
        """All that belongs to it, wherever it has gone."""
        return self._family.living()

    def cpu_s(self) -> float:
        """CPU seconds of its living processes so far."""
        return sum(_cpu_s(process) for process in self.processes())

    def memory_mb(self) -> float:
        """Resident memory of all its processes, shared pages counted in each."""
        return sum(_memory(process) for process in self.processes()) / 2**20

    def stop(self) -> int:
        """End it politely, then all that is left by force; how many had to be forced."""
        # Who is not known before its parent ends may not be found after.
        self.processes()
        self._leader.send_signal(signal.SIGTERM)
        give_up = time.monotonic() + STOP_WITHIN_S
        # Its own end is not the end: what it told to end may need a moment longer.
        while (left := self.processes()) and time.monotonic() < give_up:
            self._leader.poll()
            time.sleep(0.1)
        for process in left:
            _kill(process)
        self._leader.wait(5)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return len(left)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
