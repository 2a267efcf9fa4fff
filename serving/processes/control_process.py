"""The control app's process: started once the session is ready, watched, and started again when it ends."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from serving.processes.asking import Facts, answer
from serving.processes.backoff import delay_s, strikes_after
from serving.processes.child_process import ChildProcess, Spawner
from serving.processes.control_channel import ControlChannel, channel_pair
from serving.processes.events import Emit, Event
from serving.processes.relaunch import relaunched
from serving.telemetry.log import LogSettings

_PROGRAM = "serving.processes.control_worker"
_END_S = 3.0
# As long as the app waits for open requests when it is to give way, and some.
_ANSWERED_WITHIN_S = 15.0

Obey = Callable[[Facts], Awaitable[Facts]]


class ControlProcess:
    """`fd` is the listening socket, which stays open here; `options` is what the app is told, the token among it."""

    def __init__(self, spawner: Spawner, fd: int, options: Mapping[str, Any], log: Path, emit: Emit) -> None:
        self._spawner = spawner
        self._fd = fd
        self._options = options
        self._log = log
        self._emit = emit
        self._child: ChildProcess | None = None
        self._channel: ControlChannel | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._started_at = 0.0
        self._replacing = False
        self._log_settings: LogSettings | None = None
        self.crashes = 0

    async def start(self, obey: Obey) -> None:
        """Spawn it and watch it; `obey` answers what it asks."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep(obey))

    async def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self._keeper is not None:
            self._keeper.cancel()
        for task in self._answering:
            task.cancel()
        if self._channel is not None:
            self._channel.send("stop")
        if self._child is not None:
            await self._child.ended_within(_END_S)

    def replace(self, **options: Any) -> None:  # noqa: ANN401 - what the app is told
        """End it once it has answered, and start it again with other options; meanwhile connections wait."""
        self._options = {**self._options, **options}
        if self._channel is not None:
            self._replacing = True
            self._channel.send("stop")
            self._own(asyncio.create_task(self._ends(self._child)))

    def use_log(self, settings: LogSettings) -> None:
        """It logs so, also once it is started again."""
        self._log_settings = settings
        if self._channel is not None:
            self._channel.send("log", settings=asdict(settings))

    def kill(self) -> None:
        """At once."""
        if self._child is not None:
            self._child.kill()

    async def _launch(self) -> None:
        with channel_pair() as (channel, theirs):
            arguments = (str(theirs.fileno()), str(os.getpid()))
            self._child = await self._spawner.python(
                _PROGRAM, *arguments, fds=(self._fd, theirs.fileno()), output=self._log
            )
        self._started_at = time.monotonic()
        await channel.open()
        channel.send("start", fd=self._fd, options=dict(self._options))
        if self._log_settings is not None:
            channel.send("log", settings=asdict(self._log_settings))
        self._channel = channel

    async def _ends(self, child: ChildProcess | None) -> None:
        """One that hangs has no successor before it is ended."""
        if child is not None:
            await child.ended_within(_ANSWERED_WITHIN_S)

    async def _keep(self, obey: Obey) -> None:
        strikes = 0
        while self._child is not None and self._channel is not None:
            async for message in self._channel.messages():
                if message["type"] == "ask":
                    self._own(asyncio.create_task(answer(message, obey, self._channel.send)))
            await self._child.ended_within(_END_S)
            self._channel.close()
            if not self._replacing:
                self.crashes += 1
                strikes = strikes_after(strikes, time.monotonic() - self._started_at)
                self._emit(Event("crashed", "control", f"the control app ended: {self._child.how_it_ended()}"))
                await asyncio.sleep(delay_s(strikes))
            self._replacing = False
            await relaunched(self._launch, "control", strikes, self._emit)
            self._emit(Event("restarted", "control", "the control app was started again"))

    def _own(self, task: asyncio.Task[None]) -> None:
        # What was begun is done, also when the one who asked has gone.
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
