"""A process that the supervisor started: in a session of its own, so that Ctrl-C reaches the supervisor alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.processes import huge_pages
from serving.processes.session_members import SESSION_VARIABLE, started_at

_FAULTS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})


@dataclass(frozen=True, slots=True)
class Spawner:
    """Starts children that carry the session's mark; `begun` hears of each (the guardian wants it)."""

    session: str
    begun: Callable[[int, str], None]

    async def python(
        self, module: str, *arguments: str, fds: Iterable[int] = (), output: Path | None = None, bare: bool = False
    ) -> ChildProcess:
        """`python -m module`; `bare` skips site-packages, for programs of ours that need none and start faster."""
        # -P: a file of the user's directory must not stand in for a module. -S: 10 ms instead of 20 and more.
        flags = ["-P", "-S"] if bare and sys.platform == "linux" else ["-P"]
        # What is not ours keeps its memory in its own way: a Valkey that writes a snapshot copies pages.
        told = huge_pages.untold if bare else huge_pages.asked_for
        environment = told(python_environment())
        return await self._spawn([sys.executable, *flags, "-m", module, *arguments], fds, output, environment)

    async def program(self, *command: str, output: Path) -> ChildProcess:
        """A program that is not ours, made to die with this process."""
        return await self.python("serving.processes.launch", str(os.getpid()), *command, output=output, bare=True)

    async def _spawn(
        self, command: list[str], fds: Iterable[int], output: Path | None, environment: Mapping[str, str]
    ) -> ChildProcess:
        environment = {**environment, SESSION_VARIABLE: self.session}
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(output.open("ab")) if output else None
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=environment,
                pass_fds=tuple(fds),
                start_new_session=True,
            )
        started = started_at(process.pid)
        self.begun(process.pid, started)
        return ChildProcess(process, started, output)


@dataclass(slots=True)
class ChildProcess:
    """A running child, or the remains of one."""

    process: asyncio.subprocess.Process
    started: str
    output: Path | None = None

    @property
    def pid(self) -> int:
        """Also the number of its kernel session."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """It has not ended, or its end has not been seen yet."""
        return self.process.returncode is None

    async def wait(self) -> int:
        """Its exit code, negative for the signal that ended it."""
        return await self.process.wait()

    @property
    def faulted(self) -> bool:
        """It ended by a signal that the kernel sends to who did wrong, or that it sent itself; not by one of others."""
        code = self.process.returncode
        return code is not None and -code in _FAULTS

    def signal(self, which: signal.Signals) -> None:
        """Does nothing when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(which)

    def kill(self) -> None:
        """At once."""
        self.signal(signal.SIGKILL)

    async def end(self, patience_s: float) -> None:
        """SIGTERM, and SIGKILL when it has not ended after `patience_s`."""
        self.signal(signal.SIGTERM)
        await self.ended_within(patience_s)

    async def ended_within(self, patience_s: float) -> bool:
        """Wait for its end; kill it when it takes longer, and then answer False."""
        try:
            async with asyncio.timeout(patience_s):
                await self.process.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.process.wait()
            return False
        return True

    def how_it_ended(self) -> str:
        """For people: the exit code or the signal's name, and the last lines it wrote to its log."""
        code = self.process.returncode
        if code is None:
            return "still running"
        said = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return said + last_lines(self.output)


def last_lines(path: Path | None, count: int = 8, limit: int = 2000) -> str:
    """The end of a log, indented; empty where there is none."""
    if path is None:
        return ""
    with contextlib.suppress(OSError), path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - limit))
        lines = log.read().decode(errors="replace").splitlines()[-count:]
        return "".join(f"\n    {line}" for line in lines)
    return ""


def python_environment() -> Mapping[str, str]:
    """This process's environment, in which children find the same package as their parent."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != root]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, *paths])}
