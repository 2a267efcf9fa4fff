"""Keeps a guardian beside the supervisor: tells it what was begun, and starts another when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from serving.processes.backoff import delay_s, strikes_after
from serving.processes.child_process import python_environment
from serving.processes.events import Emit, Event
from serving.processes.relaunch import relaunched
from serving.processes.session_members import Leaders

_PROGRAM = "serving.processes.guardian"
# It ends what is left with SIGTERM, waits 3 s, then kills.
_CLEANS_WITHIN_S = 8.0


class GuardianProcess:
    """`begun` is called for every process that the supervisor starts, each the leader of a kernel session."""

    def __init__(self, session: str, run_dir: Path, emit: Emit) -> None:
        self._arguments = (session, str(run_dir))
        self._emit = emit
        self._leaders: dict[int, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """From its spawn on the session ends with the supervisor: the pipe exists before its program runs."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep())

    def begun(self, leader: int, started: str) -> None:
        """Remember a kernel session as ours; `started` as `started_at` gives it."""
        self._leaders[leader] = started
        self._write({leader: started})

    async def finish(self) -> None:
        """Let it end and remove what is left of the session; returns when that is done."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLEANS_WITHIN_S):
                await self._process.wait()

    async def _launch(self) -> None:
        # Without the session's mark, so that one guardian does not end another.
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-S", "-m", _PROGRAM, *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            env=python_environment(),
            start_new_session=True,
        )
        self._write(self._leaders)

    async def _keep(self) -> None:
        strikes = 0
        while self._process is not None:
            began_at = time.monotonic()
            await self._process.wait()
            strikes = strikes_after(strikes, time.monotonic() - began_at)
            await asyncio.sleep(delay_s(strikes))
            await relaunched(self._launch, "guardian", strikes, self._emit)
            self._emit(Event("restarted", "guardian", "the guardian had ended and was started again"))

    def _write(self, leaders: Leaders) -> None:
        if self._process is not None and self._process.stdin is not None and self._process.returncode is None:
            lines = "".join(f"{leader} {started}\n" for leader, started in leaders.items() if started)
            self._process.stdin.write(lines.encode())
