"""One `sluice up` as a person starts it: processes and a temporary folder of its own, and nothing left at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from tests.e2e.http_client import Connection

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-P", "-c", "from serving.cli.main import main; main()")
# Dies with the tests, however they end; its guardian then ends the rest.
DIES_WITH_US = (sys.executable, "-P", "-S", "-m", "serving.processes.launch")
# A features store that waits for a core is not away, and what stands in for its rows is no defect.
LONG_READS = {"SLUICE_STATE__FEATURES_TIMEOUT_MS": "5000"}
# Beside other tests; alone it takes a few seconds.
READY_WITHIN_S = 90.0
STOPS_WITHIN_S = 30.0


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would change the configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "RAY_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "400", **more}


class SluiceUp:
    """A session in a process group of its own; its ports are known once it is ready."""

    # A program and its arguments that becomes the command, in surroundings of its choice.
    through: tuple[str, ...] = ()

    def __init__(self, *arguments: str, engine: str = "in-process", **more: str) -> None:
        more = {**LONG_READS, **more}
        # Short, since unix sockets live in it; of its own, so that what is left at the end is seen.
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-"))
        (self.folder / "tmp").mkdir()
        (self.folder / "run").mkdir(mode=0o700)
        self._log = self.folder / "log"
        self.engine = engine
        self.port = 0
        self.grpc_port = 0
        self.metrics_port = 0
        self.session = ""
        self._seen: set[psutil.Process] = set()
        ports = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", "--control-port", "0")
        command = (*self.through, *PROGRAM, "up", "--engine", engine, *ports, *arguments)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*DIES_WITH_US, str(os.getpid()), *command],
                cwd=self.folder,
                env=environment(TMPDIR=str(self.folder / "tmp"), XDG_RUNTIME_DIR=str(self.folder / "run"), **more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return self.process.pid

    @property
    def url(self) -> str:
        """Where predictions are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def run_dir(self) -> Path:
        """The session's private directory."""
        return Path(str(self.registered()["run_dir"]))

    def log(self) -> str:
        """What it printed so far."""
        return self._log.read_text(errors="replace")

    def logs(self) -> str:
        """What it and its parts wrote so far, the end of each."""
        parts = sorted((self.folder / "tmp").glob("sluice-*/logs/*"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}" for path in [self._log, *parts])

    def registered(self) -> Mapping[str, object]:
        """What `sluice restart` finds the session by; empty before it is registered."""
        for path in (self.folder / "run").glob("sluice/*.json"):
            found: Mapping[str, object] = json.loads(path.read_text())
            return found
        return {}

    def wait_until_ready(self, within_s: float = READY_WITHIN_S) -> SluiceUp:
        """Return when it says that a prediction has worked."""
        self.wait_for_log("first prediction", within_s)
        self.wait_for_log("Ctrl-C stops")
        facts = self.registered()
        self.port, self.metrics_port = int(str(facts["http_port"])), int(str(facts["metrics_port"]))
        self.grpc_port = int(str(facts["grpc_port"]))
        self.session = str(facts["session"])
        self.look()
        return self

    def wait_for_log(self, text: str, within_s: float = READY_WITHIN_S) -> None:
        """Return when it printed `text`; the whole output is in the message when it does not."""
        ends = time.monotonic() + within_s
        while text not in self.log():
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {text!r}:\n{self.log()}"
            assert time.monotonic() < ends, f"did not say {text!r} within {within_s} s:\n{self.log()}"
            time.sleep(0.05)

    def connect(self) -> Connection:
        """A connection to the port of predictions; close it, or use it in a `with`."""
        return Connection(self.port)

    def look(self) -> list[psutil.Process]:
        """Every process of the session that lives now; each is remembered and must be gone at the end."""
        found: set[psutil.Process] = set()
        with contextlib.suppress(psutil.NoSuchProcess):
            found.update(psutil.Process(self.pid).children(recursive=True))
        found.update(self._marked())
        self._seen |= found
        return sorted(found, key=lambda one: one.pid)

    def stop(self, how: signal.Signals = signal.SIGINT, within_s: float = STOPS_WITHIN_S) -> int:
        """Send the signal, wait; its exit code."""
        self.look()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, how)
        return self.process.wait(within_s)

    def remains(self, within_s: float = STOPS_WITHIN_S) -> list[str]:
        """What is still there after that time: processes, listening ports, files."""
        ends = time.monotonic() + within_s
        while (left := list(self._left())) and time.monotonic() < ends:
            time.sleep(0.1)
        return left

    def close(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it and assert that it ended cleanly and that nothing is left of it."""
        try:
            if self.process.poll() is None:
                code = self.stop(how)
                assert code == 0, f"exit code {code}:\n{self.log()}"
            left = self.remains()
            assert not left, f"left behind: {left}\n{self.log()}"
        finally:
            self.destroy()

    def destroy(self) -> None:
        """End whatever is left, by process id, and remove the folder."""
        for one in {*self.look(), *self._seen}:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _left(self) -> Iterable[str]:
        for one in {*self._seen, *self._marked()}:
            with contextlib.suppress(psutil.NoSuchProcess):
                if one.is_running() and one.status() != psutil.STATUS_ZOMBIE:
                    yield f"process {one.pid}: {' '.join(one.cmdline())[:200]}"
        for port in (self.port, self.grpc_port, self.metrics_port):
            if port and _listening(port):
                yield f"port {port}"
        for path in (self.folder / "tmp", self.folder / "run"):
            yield from map(str, path.iterdir())

    def _marked(self) -> Iterable[psutil.Process]:
        """Those that inherited the environment, whoever their parent is by now."""
        mark = f"TMPDIR={self.folder / 'tmp'}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.pid:
                with contextlib.suppress(OSError, psutil.NoSuchProcess):
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        yield psutil.Process(int(entry.name))


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
