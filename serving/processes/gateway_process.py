"""One gateway worker as the supervisor sees it: its process, its channel, what it has said and what it was told."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serving.backends.in_flight import in_flight
from serving.inference import VersionKey
from serving.processes.asking import Ask, Asking
from serving.processes.child_process import ChildProcess, Spawner
from serving.processes.control_channel import ControlChannel, channel_pair
from serving.processes.coverage import WorkerView
from serving.processes.start_message import StartMessage, to_json

_PROGRAM = "serving.processes.gateway_worker"
# A worker that was asked to leave within its grace time gets this much more to end.
_EXIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Heard:
    """Who is told what a worker says: `changed` after up, ready and its end; `message` for all else it sends."""

    changed: Callable[[GatewayProcess], None]
    message: Callable[[GatewayProcess, Mapping[str, Any]], None]


class GatewayProcess:
    """`name` is its generation: unique in the session, higher is newer.

    `lost` once its channel has ended; `stalled` while it lives and does not report. `died_in` is the version in whose
    run it died of a fault, None where it ended otherwise or nobody knows.
    """

    def __init__(self, start: StartMessage, heard: Heard) -> None:
        self.start_message = start
        self.name = start.generation
        self.slot = start.slot
        self.started_at = time.monotonic()
        self.heard_at = self.started_at
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.leaving = False
        self.lost = False
        self.stalled = False
        self.died_in: VersionKey | None = None
        self._heard = heard
        self._up = False
        self._serving: frozenset[int] = frozenset()
        self._child: ChildProcess | None = None
        self._channel: ControlChannel | None = None
        # What was sent to it before it was spawned: questions among it, whose answers somebody waits for.
        self._early: list[tuple[str, dict[str, Any]]] = []
        self._listening: asyncio.Task[None] | None = None
        self._asking = Asking(self.send)
        self.ask: Ask = self._asking.ask

    async def start(self, spawner: Spawner) -> None:
        """Spawn it with the listeners and its end of a channel; it says "up" later."""
        start = self.start_message
        with channel_pair() as (channel, theirs):
            fds = (*start.listeners.values(), *start.grpc_listeners.values(), theirs.fileno())
            self._child = await spawner.python(_PROGRAM, str(theirs.fileno()), str(os.getpid()), fds=fds)
        await channel.open()
        first = to_json(self.start_message)
        channel.send(first.pop("type"), **first)
        self._channel = channel
        for kind, facts in self._early:
            channel.send(kind, **facts)
        self._listening = asyncio.create_task(self._listen(self._child, channel))

    @property
    def pid(self) -> int:
        """0 before it was spawned."""
        return self._child.pid if self._child else 0

    @property
    def silent_s(self) -> float:
        """Seconds since an accepting worker last reported, which it does every second; 0 for one that is starting."""
        return time.monotonic() - self.heard_at if self._up else 0.0

    def view(self) -> WorkerView:
        """What `coverage` decides with."""
        up = self._up and not self.stalled
        return WorkerView(self.name, self.slot, up, self.ready.is_set(), self.leaving, self._serving)

    def serve(self, slots: frozenset[int]) -> None:
        """Tell it the difference between what it accepts on and `slots`."""
        for slot in slots - self._serving:
            self.send("accept", slot=slot)
        for slot in self._serving - slots:
            self.send("release", slot=slot)
        self._serving = slots

    def send(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - see ControlChannel.send
        """A message to the worker, if it still listens."""
        if self._channel is None:
            self._early.append((kind, facts))
        else:
            self._channel.send(kind, **facts)

    async def drain(self, grace_s: float) -> None:
        """Let it answer what it has; kill it when it is not gone shortly after `grace_s`."""
        self.leaving = True
        self._serving = frozenset()
        self.send("drain", grace_s=grace_s)
        if self._child is None:
            return
        if not self._up:
            # It has accepted nothing and may be busy with its start.
            self._child.signal(signal.SIGTERM)
        await self._child.ended_within(grace_s + _EXIT_S)
        if self._listening is not None:
            await self._listening

    def kill(self) -> None:
        """At once, whatever it holds."""
        if self._child is not None:
            self._child.kill()

    def how_it_ended(self) -> str:
        """For people."""
        how = self._child.how_it_ended() if self._child else "never started"
        return f"{how}, while it ran {self.died_in}" if self.died_in else how

    async def _listen(self, child: ChildProcess, channel: ControlChannel) -> None:
        async for message in channel.messages():
            self.heard_at = time.monotonic()
            if self.stalled:
                self.stalled = False
                self._heard.changed(self)
            match message["type"]:
                case "up":
                    self._up = True
                    self._heard.changed(self)
                case "ready":
                    self.ready.set()
                    self._heard.changed(self)
                case "answer":
                    self._asking.answered(message)
                case _:
                    self._heard.message(self, message)
        # The end of the channel is the first sign of a crash; what it served is covered before its end is awaited.
        self.lost = True
        self._asking.close(f"gateway worker {self.slot} ended")
        self._up = False
        self._serving = frozenset()
        self._heard.changed(self)
        await child.ended_within(self.start_message.grace_s + _EXIT_S)
        ran = self.start_message.in_flight_file
        self.died_in = in_flight(ran) if child.faulted else None
        ran.unlink(missing_ok=True)
        channel.close()
        self.ended.set()
        self._heard.changed(self)
