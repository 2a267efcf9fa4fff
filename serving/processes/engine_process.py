"""The engine's process (Ray): started, watched, swept after a crash and started again, while the gateways go on.

The program gets `CHANNEL PARENT` as arguments and a start message over the channel, says "ready", "refused" (`model`,
`version`, `why`), "replicas" (`alive` and `wished`: pool to count) and "scaled" (`text`), obeys "stop" and, once it is
ready, "ask" (`what` "host": these `models` and no others), and ends at the channel's end of file.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from serving.errors import Unavailable
from serving.processes.asking import Asking, Facts
from serving.processes.backoff import delay_s, strikes_after
from serving.processes.child_process import ChildProcess, Spawner
from serving.processes.control_channel import ControlChannel, channel_pair
from serving.processes.events import Emit, Event
from serving.processes.relaunch import relaunched
from serving.processes.session_members import end_members
from serving.processes.session_plan import ServedModel
from serving.processes.start_message import StartMessage, to_json
from serving.telemetry.log import LogSettings

# After the end of its channel it may still be ending; then it is killed.
_END_S = 5.0
# Ray is given 120 s to change what its pools host, and the engine says so when that was not enough.
_ANSWERS_WITHIN_S = 150.0


class EngineProcess:
    """What the engine last said: `replicas` of each pool that live, and those `wished` where they follow the load."""

    def __init__(self, program: str, spawner: Spawner, start: StartMessage, emit: Emit) -> None:
        self._program = program
        self._spawner = spawner
        self._start_message = start
        self._emit = emit
        self._log = Path(start.run_dir) / "logs" / "engine.log"
        self._child: ChildProcess | None = None
        self._channel: ControlChannel | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._started_at = 0.0
        self.ready = asyncio.Event()
        self.replicas: dict[str, int] = {}
        self.wished: dict[str, int] = {}
        self.crashes = 0
        self._asking = Asking(self._send)
        self._silent = False
        self._log_settings: LogSettings | None = None

    async def start(self) -> None:
        """Spawn it and watch it; it says itself when it is ready."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep())

    async def ask(self, what: str, **facts: Any) -> Facts:  # noqa: ANN401 - see Ask
        """Have the engine that runs now do something.

        Raises:
            ServingError: what it objected, NotReady when it ended meanwhile, or Unavailable when it does not answer. It
                is asked then all the same, and does it once it can; what it says then is no concern of anybody's.
        """
        try:
            async with asyncio.timeout(0 if self._silent else _ANSWERS_WITHIN_S):
                return await self._asking.ask(what, **facts)
        except TimeoutError:
            # Whoever asks next need not wait as long for an engine that hangs.
            self._silent = True
            raise Unavailable("the engine does not answer; see its log, and try again in a moment") from None

    def serve(self, models: tuple[ServedModel, ...], table: str) -> None:
        """An engine that is started again hosts these versions and publishes this table."""
        self._start_message = replace(self._start_message, models=models, table=table)

    def follow(self, start: StartMessage) -> None:
        """An engine that is started again has this configuration and grace time."""
        self._start_message = replace(self._start_message, config=start.config, grace_s=start.grace_s)

    def use_log(self, settings: LogSettings) -> None:
        """It logs so, also once it is started again."""
        self._log_settings = settings
        self._send("log", settings=asdict(settings))

    async def stop(self, patience_s: float) -> None:
        """Ask it to end, and end what is left of it and of all it started."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._channel is not None:
            self._channel.send("stop", grace_s=patience_s)
        if self._child is not None:
            await self._child.ended_within(patience_s)
            await self._sweep(self._child)

    def kill(self) -> None:
        """At once; the guardian ends what it started."""
        if self._child is not None:
            self._child.kill()

    async def _launch(self) -> None:
        with channel_pair() as (channel, theirs):
            arguments = (str(theirs.fileno()), str(os.getpid()))
            self._child = await self._spawner.python(
                self._program, *arguments, fds=(theirs.fileno(),), output=self._log
            )
        self._started_at = time.monotonic()
        await channel.open()
        first = to_json(self._start_message)
        channel.send(first.pop("type"), **first)
        if self._log_settings is not None:
            channel.send("log", settings=asdict(self._log_settings))
        self._channel = channel

    def _send(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - see ControlChannel.send
        if self._channel is not None:
            self._channel.send(kind, **facts)

    async def _keep(self) -> None:
        strikes = 0
        while self._child is not None and self._channel is not None:
            async for message in self._channel.messages():
                self._heard(message)
            self._asking.close("the engine ended; it starts again")
            self._asking = Asking(self._send)
            self._silent = False
            child = self._child
            await child.ended_within(_END_S)
            self._channel.close()
            self.ready.clear()
            self.replicas = {}
            self.wished = {}
            self.crashes += 1
            strikes = strikes_after(strikes, time.monotonic() - self._started_at)
            self._emit(Event("crashed", "engine", f"the engine ended: {child.how_it_ended()}"))
            # What the engine started outlives it for a while and would be in its successor's way.
            await self._sweep(child)
            await self._again(strikes)

    async def _again(self, strikes: int) -> None:
        if wait_s := delay_s(strikes):
            self._emit(Event("restarting", "engine", f"the engine starts again in {wait_s:g} s", {"wait_s": wait_s}))
            await asyncio.sleep(wait_s)
        await relaunched(self._launch, "engine", strikes, self._emit)
        self._emit(Event("restarted", "engine", "the engine was started again"))

    async def _sweep(self, leader: ChildProcess) -> None:
        # Only its kernel session: the session's mark is carried by the gateways too.
        await asyncio.to_thread(end_members, "", {leader.pid: leader.started}, patience_s=1.0)

    def _heard(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "ready":
                self.ready.set()
                self._emit(Event("started", "engine", "the engine is ready"))
            case "refused":
                named = f"{message['model']}/{message['version']}"
                self._emit(Event("refused", named, message["why"], dict(message)))
            case "replicas":
                self.replicas = {str(pool): int(count) for pool, count in message["alive"].items()}
                self.wished = {str(pool): int(count) for pool, count in message["wished"].items()}
            case "scaled":
                self._emit(Event("scaled", "engine", message["text"]))
            case "answer":
                self._silent = False
                self._asking.answered(message)
            case "trouble":
                self._emit(Event("trouble", "engine", message["text"]))
            case _:
                return
