"""The parent of all that `sluice up` runs: starts the parts, watches them, rolls them, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from serving.errors import ModelUnservable, ServingError
from serving.processes import run_dir, running_sessions
from serving.processes.events import Emit, Event, Kind
from serving.processes.readiness import Prober, proven
from serving.processes.running_sessions import RunningSession
from serving.processes.session_parts import SessionParts, assembled, open_sockets, registration
from serving.processes.session_plan import SessionPlan
from serving.processes.terminal import has_terminal
from serving.processes.waiting import reason_to_wait

if TYPE_CHECKING:
    from serving.processes.control_process import ControlProcess
    from serving.processes.session_metrics import SessionMetrics
    from serving.processes.session_orders import SessionOrders

_ENGINE_STOP_S = 4.0
_SAY_EVERY_S = 5.0


class Supervisor:
    """One session: a command calls `run` and prints the events; `running` has the ports, `ready` is set with the event.

    `replan` reads the plan again, for a reload. `start`, `roll` and `stop` are its steps, for those who own the loop
    themselves.
    """

    def __init__(self, plan: SessionPlan, emit: Emit, replan: Callable[[], SessionPlan] | None = None) -> None:
        self.plan = plan
        self._replan = replan
        self._reloading = asyncio.Lock()
        self._asked = 0
        self.running: RunningSession | None = None
        self.ready = asyncio.Event()
        self._emit = emit
        self._began_at = time.monotonic()
        # Under nohup SIGHUP is ignored from the start: the terminal may then go as it likes.
        self._had_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        self._stop = asyncio.Event()
        self._failure: ModelUnservable | None = None
        self._rolling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._parts: SessionParts | None = None
        self._ending: SessionParts | None = None
        self._metrics: SessionMetrics | None = None
        self._orders: SessionOrders | None = None

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM (a second one hurries), then stop cleanly; SIGHUP reads the plan again.

        Raises:
            ConfigInvalid: a port or the embedded state cannot be had; nothing is left running.
            ModelUnservable: every version was refused when it was loaded; nothing is left running.
        """
        self._obey_signals()
        asked = asyncio.create_task(self._stop.wait())
        starting = asyncio.create_task(self.start())
        try:
            await asyncio.wait({asked, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await asked
        finally:
            starting.cancel()
            asked.cancel()
            await self.stop()
        if self._failure is not None:
            raise self._failure

    def ask_to_stop(self) -> None:
        """What SIGINT and SIGTERM do: the second time nothing is waited for."""
        parts = self._parts or self._ending
        if self._stop.is_set() and parts is not None:
            parts.gateways.kill()
            if parts.control is not None:
                parts.control.kill()
            if parts.engine is not None:
                parts.engine.kill()
        self._stop.set()

    async def start(self) -> None:
        """Start all parts side by side; returns when they run, which is before they are ready.

        Raises:
            ConfigInvalid: see `run`.
        """
        sockets = open_sockets(self.plan)
        try:
            parts = self._parts = assembled(self.plan, sockets, self._emit)
        except BaseException:
            sockets.close()
            raise
        parts.gateways.answer_by(partial(self._obey, parts))
        await parts.guardian.start()
        self._register(registration(self.plan, parts))
        starts = [parts.gateways.start(), *(valkey.start() for valkey in parts.valkeys)]
        if parts.engine is not None:
            starts.append(parts.engine.start())
        await asyncio.gather(*starts)
        await self._show_metrics(parts)
        self._own(self._become_ready(parts))
        if parts.start.control_url:
            # Not with the first order: faults of workers are charged to rollouts, also to those of an earlier session.
            self._orders_of(parts)
        if self.plan.engine == "in-process" and parts.start.control_url:
            self._own(self._publish_table(parts))
        if self.plan.engine == "external":
            self._own(self._add_own_models(parts))
        if parts.control is not None:
            self._own(self._serve_control(parts, parts.control))
        if parts.estimates_file is not None:
            self._own(parts.estimates_file.keep(parts.learned))
        self._own(self._sweep())

    async def roll(self) -> None:
        """Replace the gateway workers one by one; a request for it during another one is done after it."""
        async with self._rolling:
            if self._parts is not None and await self._parts.gateways.roll() and self.running is not None:
                self._register(replace(self.running, generation=self.running.generation + 1))

    async def reload(self) -> None:
        """Follow the plan as it is now, with new workers in any case; one that cannot be followed is told, no more."""
        number = self._asked = self._asked + 1
        if self.running is not None:
            self._register(replace(self.running, asked=number))
        async with self._reloading:
            await self._reload(number)

    async def _reload(self, number: int) -> None:
        if self._replan is None or self._parts is None:
            generation = self.running.generation if self.running else 0
            await self.roll()
            if self.running is not None and self.running.generation > generation:
                self._register(replace(self.running, answered=number))
            return
        try:
            plan = await asyncio.to_thread(self._replan)
            await self._orders_of(self._parts).reload(plan)
        except ServingError as error:
            self._refuse(error.message, number)
        else:
            self._follow(plan, self._parts, number)

    def _follow(self, plan: SessionPlan, parts: SessionParts, number: int) -> None:
        changed = plan.config != self.plan.config
        self.plan = plan
        if self.running is not None:
            token_file = registration(plan, parts).token_file
            generation = self.running.generation + 1
            self._register(replace(self.running, generation=generation, token_file=token_file, answered=number))
        if changed:
            self._say("reloaded", "configuration", "the session follows it as it is written now")

    def _refuse(self, why: str, number: int) -> None:
        self._say("reload_refused", "configuration", f"{why}; the one before goes on")
        if self.running is not None:
            self._register(replace(self.running, answered=number, refused=number, refusal=why))

    def use_table(self, table: str) -> None:
        """Every gateway worker serves by this route table from now on, for an engine without a control state."""
        if self._parts is not None:
            self._parts.gateways.use_table(table)

    async def stop(self) -> None:
        """Drain the gateways, end the engine, then the state; the guardian removes what is left."""
        parts, self._parts = self._parts, None
        if parts is None:
            return
        self._ending = parts
        self._say("stopping", "session", "stopping: open requests are answered first")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(parts.gateways.stop(self.plan.grace_s), *([parts.control.stop()] if parts.control else []))
        await parts.faults.stop()
        if parts.estimates_file is not None:
            await parts.estimates_file.save(parts.learned)
        if self._metrics is not None:
            await self._metrics.stop()
        parts.sockets.close()
        if parts.engine is not None:
            await parts.engine.stop(_ENGINE_STOP_S)
        await asyncio.gather(*(valkey.stop() for valkey in parts.valkeys))
        await parts.guardian.finish()
        self._say("stopped", "session", "stopped")

    async def _become_ready(self, parts: SessionParts) -> None:
        while not await parts.gateways.ready_within(_SAY_EVERY_S):
            self._say("waiting", "gateway", await asyncio.to_thread(reason_to_wait, self.plan))
        prober = Prober(self.plan.http_host, parts.sockets.http.port, self.plan.samples)
        models = self.plan.default_models()
        proofs = await asyncio.gather(*(self._prove(prober, parts, model) for model in models))
        if models and not any(proofs):
            self._failure = ModelUnservable("every model was refused, so there is nothing to serve; correct the models")
            self.ask_to_stop()
            return
        self.ready.set()
        if self.running is not None:
            self._register(replace(self.running, ready=True))
        took_s = round(time.monotonic() - self._began_at, 3)
        self._emit(Event("ready", "session", f"ready after {took_s:.2f} s", {"took_s": took_s}))

    async def _prove(self, prober: Prober, parts: SessionParts, model: str) -> bool:
        defaults = [served.version for served in self.plan.models if served.model == model and served.default]

        # Asked again each time: a refusal may arrive after the worker said that it is ready.
        def refused() -> bool:
            return all(parts.gateways.refused(model, version) for version in defaults)

        probe = await proven(prober, model, partial(self._say, "waiting", model), refused)
        if probe is not None and probe.verdict == "answers":
            self._say("unproven", model, f"answers the sample request with an error: {probe.text}")
        return probe is not None

    async def _serve_control(self, parts: SessionParts, control: ControlProcess) -> None:
        # After the first prediction, which its start would delay; what does not become ready may need it too.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SAY_EVERY_S):
                await self.ready.wait()
        await control.start(partial(self._obey, parts))

    async def _obey(self, parts: SessionParts, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer what the control app or a worker asks."""
        return await self._orders_of(parts).obey(asked)

    def _orders_of(self, parts: SessionParts) -> SessionOrders:
        if self._orders is None:
            # Imported now: the configuration's library, which a supervisor without the command line needs for nothing
            # else.
            from serving.processes.session_orders import SessionOrders  # noqa: PLC0415

            self._orders = SessionOrders(self.plan, parts, self._rolling, self._emit, self.ready, self._own)
        return self._orders

    async def _publish_table(self, parts: SessionParts) -> None:
        """As the engine does where there is one."""
        # The Redis client takes 0.17 s to import, while which the workers start.
        from serving.processes.session_table import session_table  # noqa: PLC0415
        from serving.processes.table_publisher import TablePublisher  # noqa: PLC0415
        from serving.state.table_store import TableStore  # noqa: PLC0415

        publisher = TablePublisher(TableStore(parts.start.control_url), session_table(parts.start))
        await publisher.keep(threading.Event())

    async def _add_own_models(self, parts: SessionParts) -> None:
        """Tables are made by whichever gateway was asked first: with the models of its configuration."""
        from serving.processes.own_models import OwnModels  # noqa: PLC0415 - see _publish_table
        from serving.processes.session_table import session_table  # noqa: PLC0415 - see _publish_table
        from serving.state.table_store import TableStore  # noqa: PLC0415 - see _publish_table

        url = parts.start.control_url
        store = TableStore(url)
        own = OwnModels(store, session_table(parts.start))
        seen = TableStore(url, own.delivered)
        seen.follow()
        try:
            await own.keep()
        finally:
            await seen.stop()
            await store.stop()

    async def _show_metrics(self, parts: SessionParts) -> None:
        # Imported now: prometheus_client takes 80 ms, during which the workers start.
        from serving.processes.session_metrics import SessionMetrics, facts  # noqa: PLC0415

        self._metrics = SessionMetrics(parts.counts, lambda: facts(parts, ready=self.ready.is_set()))
        if parts.sockets.metrics is not None:
            await self._metrics.start(parts.sockets.metrics.sockets[0])

    def _register(self, running: RunningSession) -> None:
        self.running = running
        # Without the file `sluice restart` does not find the session; it serves all the same.
        with contextlib.suppress(OSError):
            running_sessions.write(running)

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.ask_to_stop)
        loop.add_signal_handler(signal.SIGTERM, self.ask_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _hang_up(self) -> None:
        if self._had_terminal and not has_terminal():
            self.ask_to_stop()
        else:
            self._own(self.reload())

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._say("trouble", "supervisor", f"{type(error).__name__}: {error}")

    def _say(self, kind: Kind, part: str, text: str) -> None:
        self._emit(Event(kind, part, text))

    async def _sweep(self) -> None:
        for path in await asyncio.to_thread(run_dir.sweep):
            self._say("swept", str(path), "removed what a session that was killed had left")
