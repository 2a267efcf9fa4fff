"""Children of a supervisor that are no processes."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from serving.processes.child_process import ChildProcess

NO_ROOM = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class FakeChild:
    """Runs until it is told to end; whatever it inherited is closed with it."""

    pid = 2**22 + 1  # beyond what Linux gives
    started = "never"
    # What ended it, once it has: a fault of its own or not.
    fault = False

    def __init__(self, fds: Iterable[int]) -> None:
        self.fds = [os.dup(fd) for fd in fds]
        self._over = asyncio.Event()

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    @property
    def faulted(self) -> bool:
        return self.fault and not self.running

    def end(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        self._over.set()

    def kill(self) -> None:
        self.end()

    def signal(self, which: signal.Signals) -> None:
        del which
        self.end()

    async def wait(self) -> int:
        await self._over.wait()
        return 1

    async def ended_within(self, patience_s: float) -> bool:
        await self._over.wait()
        return True

    def how_it_ended(self) -> str:
        return "exit code 1"


@dataclass
class FakeSpawner:
    """Starts children while there is room for them."""

    full: int = 0
    children: list[FakeChild] = field(default_factory=list)

    async def python(self, module: str, *arguments: str, fds: Iterable[int] = (), **_: object) -> ChildProcess:
        if self.full:
            self.full -= 1
            raise NO_ROOM
        self.children.append(FakeChild(fds))
        return cast("ChildProcess", self.children[-1])

    async def program(self, *command: str, output: Path) -> ChildProcess:
        return await self.python("")
