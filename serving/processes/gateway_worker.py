"""`python -m serving.processes.gateway_worker CHANNEL PARENT`: a gateway worker, told what to do by the supervisor."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import uvloop

from serving.errors import ServingError
from serving.processes.asking import Ask, Asking, answer
from serving.processes.control_channel import ControlChannel, inherited_channel
from serving.processes.death import die_with
from serving.processes.start_message import StartMessage, from_json
from serving.runtime import short_turns
from serving.telemetry.log import LogSettings, configure_as_told, configure_logging, use_log_settings

_REPORT_EVERY_S = 1.0
_LOOK_EVERY_S = 0.01
# One that takes the place of a crashed worker finds its replicas within milliseconds: until then connections rather
# wait than be refused, but not for long where no replica lives.
_SETTLE_S = 1.0
# The supervisor is gone, and so will be what answers: callers get what is nearly done.
_ORPHAN_GRACE_S = 1.0


class Edge(Protocol):
    """One of the sides of a gateway that callers see."""

    async def listen(self, sock: socket.socket) -> None:
        """Accept connections from this listening socket."""

    def stop_accepting(self, sock: socket.socket) -> None:
        """Close the socket; connections accepted before go on."""


class Gateway(Protocol):
    """What the worker needs of the gateway that `build_gateway(start)` assembles."""

    @property
    def http(self) -> Edge:
        """The HTTP edge."""

    @property
    def grpc(self) -> Edge:
        """The gRPC edge."""

    def ready(self) -> bool:
        """Every version that is to be served can run, or was refused."""

    def refused(self) -> Sequence[Mapping[str, str]]:
        """`model`, `version` and `why` of each version that cannot be served."""

    def stats(self) -> Mapping[str, Any]:
        """The counts since start, as `telemetry/snapshot.py` lays them out."""

    def use_table(self, table: str) -> None:
        """Serve by this route table from now on."""

    def on_condemned(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the fingerprint of each request that crashed replicas."""

    def condemn(self, fingerprint: str, remember_s: float) -> None:
        """Refuse for so long what crashed the replicas of another worker."""

    def may_ask(self, ask: Ask) -> None:
        """The supervisor can be asked about the session from now on."""

    async def obey(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a question about versions; see `GatewayVersions.obey`."""

    async def drain(self, grace_s: float) -> None:
        """Answer what is in flight with `connection: close`; returns when all is answered or the time is up."""

    async def stop(self) -> None:
        """End every task and connection."""


Build = Callable[[StartMessage], Awaitable[Gateway]]


class GatewayWorker:
    """Carries out the supervisor's messages; ends when told to drain, or when the supervisor is gone."""

    def __init__(self, channel: ControlChannel, gateway: Gateway, start: StartMessage) -> None:
        self._channel = channel
        self._gateway = gateway
        self._start = start
        self._accepting: dict[int, list[tuple[Edge, socket.socket]]] = {}
        self._told: set[tuple[str, ...]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._asking = Asking(channel.send)
        self._leave = asyncio.Event()
        self._grace_s = start.grace_s

    async def run(self) -> None:
        """From "up" to the last answer."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.leave, min(self._grace_s, 2.0))
        self._gateway.on_condemned(lambda fingerprint: self._channel.send("condemned", fingerprint=fingerprint))
        self._gateway.may_ask(self._asking.ask)
        await self._settle()
        self._channel.send("up")
        # To the last answer: requests that are drained may wait for one of the supervisor's.
        obeying = asyncio.create_task(self._obey())
        await _first_of(self._leave.wait(), _outcome(obeying), self._report())
        for slot in list(self._accepting):
            await self._release(slot)
        await _first_of(self._gateway.drain(self._grace_s), self._report())
        self._tell()
        obeying.cancel()
        await self._gateway.stop()
        await self._channel.flush()
        self._channel.close()

    def leave(self, grace_s: float) -> None:
        """Stop accepting, answer what is in flight within `grace_s` seconds, end."""
        self._grace_s = grace_s
        self._leave.set()

    async def _settle(self) -> None:
        ends_at = time.monotonic() + _SETTLE_S
        while not (self._gateway.ready() or self._leave.is_set()):
            if time.monotonic() >= ends_at:
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _obey(self) -> None:
        async for message in self._channel.messages():
            match message["type"]:
                case "accept":
                    await self._accept(message["slot"])
                case "release":
                    await self._release(message["slot"])
                case "table":
                    self._use_table(message["table"])
                case "condemned":
                    self._gateway.condemn(message["fingerprint"], message["remember_s"])
                case "ask":
                    # Not waited for: while a version is being loaded other messages are obeyed.
                    task = asyncio.create_task(answer(message, self._gateway.obey, self._channel.send))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                case "answer":
                    self._asking.answered(message)
                case "log":
                    use_log_settings(LogSettings(**message["settings"]))
                case "drain":
                    self.leave(message["grace_s"])
                case _:
                    # A newer supervisor may know more; it cannot rely on it with this release.
                    continue
        self._asking.close("the session is ending")
        self.leave(_ORPHAN_GRACE_S)

    async def _accept(self, slot: int) -> None:
        if slot in self._accepting or self._leave.is_set():
            return
        # Copies, which the edges close when they stop: the inherited descriptors are kept for the next time.
        gateway, start = self._gateway, self._start
        inherited = [(gateway.http, start.listeners[slot])]
        if slot in start.grpc_listeners:
            inherited.append((gateway.grpc, start.grpc_listeners[slot]))
        copies = [(edge, socket.socket(fileno=os.dup(fd))) for edge, fd in inherited]
        self._accepting[slot] = copies
        for edge, sock in copies:
            await edge.listen(sock)

    async def _release(self, slot: int) -> None:
        for edge, sock in self._accepting.pop(slot, ()):
            edge.stop_accepting(sock)

    def _use_table(self, table: str) -> None:
        try:
            self._gateway.use_table(table)
        except ServingError as error:
            self._channel.send("trouble", text=f"a route table was refused: {error.message}")

    async def _report(self) -> None:
        ready = False
        next_at = 0.0
        while True:
            now = time.monotonic()
            if not ready and self._gateway.ready():
                ready = True
                # First what was refused: nobody needs to wait for that.
                self._tell()
                self._channel.send("ready")
                next_at = now + _REPORT_EVERY_S
            elif now >= next_at:
                self._tell()
                next_at = now + _REPORT_EVERY_S
            await asyncio.sleep(_REPORT_EVERY_S if ready else _LOOK_EVERY_S)

    def _tell(self) -> None:
        """Counts and refusals; a mistake in either is told and must not end the worker."""
        try:
            refused = self._gateway.refused()
            for one in refused:
                if tuple(one.values()) not in self._told:
                    self._channel.send("refused", **one)
            self._told = {tuple(one.values()) for one in refused}
            self._channel.send("stats", stats=self._gateway.stats(), ready=self._gateway.ready())
        except Exception as error:  # noqa: BLE001 - whatever it is, predictions go on
            self._channel.send("trouble", text=f"{type(error).__name__}: {error}")


async def _first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Until one of them ends; the others end with it, and what one raises ends the worker, which is then restarted."""
    tasks = [asyncio.ensure_future(work) for work in works]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*done)


async def _outcome(task: asyncio.Task[None]) -> None:
    """What a task that goes on comes to."""
    await asyncio.shield(task)


def _builder(name: str) -> Build:
    module, _, function = name.partition(":")
    build: Build = getattr(importlib.import_module(module), function)
    return build


def _quiet_collector() -> None:
    """What exists now lives as long as the worker: no collection looks at it again, and collections become rare."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def main(channel_fd: int) -> None:
    """Read the start message, assemble the gateway, serve."""
    channel = inherited_channel(channel_fd)
    await channel.open()
    first = await anext(channel.messages(), None)
    if first is None:
        return
    start = from_json(first)
    configure_as_told(start.config.get("logs", {}))
    # A process that the gateway starts must hold neither the port nor the channel, whose end tells of this one's.
    for fd in (channel_fd, *start.listeners.values(), *start.grpc_listeners.values()):
        os.set_inheritable(fd, False)  # noqa: FBT003 - the signature of the standard library
    gateway = await _builder(start.builder)(start)
    _quiet_collector()
    await GatewayWorker(channel, gateway, start).run()


if __name__ == "__main__":
    faulthandler.enable()
    configure_logging()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(int(sys.argv[2]))
    # Before any thread is started: all of them are to have it.
    short_turns.take()
    uvloop.run(main(int(sys.argv[1])))
