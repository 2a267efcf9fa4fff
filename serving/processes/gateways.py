"""The gateway workers together: one per slot, restarted after a crash, replaced one by one, losing no request."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from serving.batching.learned import dump
from serving.errors import NotReady, ServingError
from serving.inference import VersionKey
from serving.processes.asking import Facts
from serving.processes.asking import answer as answer_asked
from serving.processes.backoff import delay_s, strikes_after
from serving.processes.child_process import Spawner
from serving.processes.coverage import covered
from serving.processes.events import Emit, Event
from serving.processes.gateway_process import GatewayProcess, Heard
from serving.processes.learned_estimates import LearnedEstimates
from serving.processes.relaunch import relaunched
from serving.processes.session_plan import ServedModel
from serving.processes.start_message import StartMessage
from serving.telemetry.log import LogSettings

# A successor that is not ready by then is given up: the predecessor goes on.
_READY_WITHIN_S = 60.0
# Workers report every second. One that is silent longer loses its listener to another, and is killed in the end.
_LOOK_EVERY_S = 0.5
_POLL_S = 0.01
_STALLED_AFTER_S = 3.0
_KILLED_AFTER_S = 30.0
# As long as the worker that found it remembers it.
_CONDEMNED_S = 60.0


@dataclass(frozen=True, slots=True)
class Reports:
    """Where the workers' words go: `counts` with a worker's latest ones, `gone` when it has sent its last.

    `faulted` hears of the version in whose run one died.
    """

    emit: Emit
    counts: Callable[[GatewayProcess, Mapping[str, Any]], object]
    gone: Callable[[GatewayProcess], None]
    faulted: Callable[[VersionKey], None] = lambda _: None


class Gateways:
    """Owns the worker processes; `start` is the message every worker gets, apart from its slot and generation.

    What workers learn of run times goes into `learned`, with which each one begins.
    """

    def __init__(
        self, spawner: Spawner, start: StartMessage, reports: Reports, learned: LearnedEstimates | None = None
    ) -> None:
        self._spawner = spawner
        self._start = start
        self._reports = reports
        self._learned = learned or LearnedEstimates()
        self._heard = Heard(self._changed, self._message)
        self._generations = itertools.count(1)
        self._present: dict[int, GatewayProcess] = {}
        self._current: dict[int, GatewayProcess] = {}
        self._locks = [asyncio.Lock() for _ in range(start.workers)]
        self._keepers: list[asyncio.Task[None]] = []
        self._refusals: dict[str, str] = {}
        self._stopping = False
        self._table: str | None = None
        self._condemned: dict[str, float] = {}
        self._obey: Callable[[Facts], Awaitable[Facts]] = _nobody
        self._answering: set[asyncio.Task[None]] = set()
        self._log: LogSettings | None = None
        self.crashes = 0
        self.rolled = 0

    async def start(self) -> None:
        """Spawn a worker for every slot; they say themselves when they are up and ready."""
        await asyncio.gather(*(self._launch(slot) for slot in range(self._start.workers)))
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in range(self._start.workers)]
        self._keepers.append(asyncio.create_task(self._watch()))

    async def ready_within(self, patience_s: float) -> bool:
        """Wait until the worker of every slot has been ready once; False when that takes longer."""
        deadline = time.monotonic() + patience_s
        # A worker that crashed on the way is replaced by another object, so its own event may never come.
        while not all(worker.ready.is_set() for worker in self._current.values()):
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    def refused(self, model: str, version: int) -> bool:
        """A worker found that it cannot serve this version."""
        return f"{model}/{version}" in self._refusals

    async def roll(self) -> bool:
        """Replace every worker, one after the other; False when a successor did not become ready."""
        self._reports.emit(Event("rolling", "gateway", "replacing the gateway workers one by one"))
        for slot in range(self._start.workers):
            async with self._locks[slot]:
                if self._stopping or not await self._replace(slot):
                    return False
        self._reports.emit(Event("rolled", "gateway", "every gateway worker was replaced"))
        return True

    def use_table(self, table: str) -> None:
        """Every worker serves by this route table, those started later too."""
        self._table = table
        for worker in self._present.values():
            worker.send("table", table=table)

    def serve(self, models: tuple[ServedModel, ...], table: str) -> None:
        """Workers started from now on serve these versions by this table."""
        self._start = replace(self._start, models=models, table=table)
        self._learned.keep(VersionKey(served.model, served.version) for served in models)

    def hand_on(self, models: tuple[ServedModel, ...], table: str) -> None:
        """As `serve`, and workers that were started with the configuration of now go by this table at once."""
        self.serve(models, table)
        for worker in self._present.values():
            if worker.start_message.config is self._start.config:
                worker.send("table", table=table)

    def follow(self, start: StartMessage) -> StartMessage:
        """Workers started from now on have this configuration, grace time and tokens; gives what held before."""
        before = self._start
        told = {name: getattr(start, name) for name in ("config", "grace_s", "token", "values_token")}
        self._start = replace(before, **told)
        return before

    async def ask_all(self, what: str, *, strict: bool = False, **facts: Any) -> None:  # noqa: ANN401 - see Ask
        """Have every worker do it; one that ended meanwhile is none any more, but `strict` takes that for a failure.

        Raises:
            ServingError: what the first one objected.
        """
        workers = [worker for worker in self._present.values() if not worker.leaving]
        answers = await asyncio.gather(*(worker.ask(what, **facts) for worker in workers), return_exceptions=True)
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, BaseException) and (strict or not worker.lost):
                raise answer

    async def ask_each(self, what: str, within_s: float, **facts: Any) -> dict[int, Facts]:  # noqa: ANN401 - see Ask
        """The answers that came in time, by the worker's name."""
        workers = [worker for worker in self._present.values() if worker.view().up]
        answers = await asyncio.gather(*(_answered_in_time(worker.ask(what, **facts), within_s) for worker in workers))
        return {worker.name: told for worker, told in zip(workers, answers, strict=True) if told is not None}

    def answer_by(self, obey: Callable[[Facts], Awaitable[Facts]]) -> None:
        """Have what workers ask answered by `obey`."""
        self._obey = obey

    @property
    def log(self) -> LogSettings:
        """What workers log: as they were told last, else as they are configured."""
        logs = self._start.config.get("logs") or {}
        return self._log or LogSettings(levels=logs.get("levels", {}))

    def use_log(self, settings: LogSettings) -> None:
        """Every worker logs so, those started later too."""
        self._log = settings
        for worker in self._present.values():
            worker.send("log", settings=asdict(settings))

    async def ask_one(self, what: str) -> Facts:
        """The answer of a worker that can predict.

        Raises:
            NotReady: there is none.
        """
        for worker in list(self._present.values()):
            if worker.ready.is_set() and not (worker.leaving or worker.lost or worker.stalled):
                return await worker.ask(what)
        raise NotReady("no gateway worker is ready yet; try again in a moment")

    def forget_refusal(self, model: str, version: int) -> None:
        """The version was loaded since, or is not to be served any more."""
        self._refusals.pop(f"{model}/{version}", None)

    def alive(self) -> int:
        """How many workers accept and can predict."""
        views = [worker.view() for worker in self._present.values()]
        return sum(1 for view in views if view.up and view.ready and not view.leaving)

    async def stop(self, grace_s: float) -> None:
        """Drain all at once."""
        self._stopping = True
        for task in (*self._keepers, *self._answering):
            task.cancel()
        await asyncio.gather(*(worker.drain(grace_s) for worker in list(self._present.values())))

    def kill(self) -> None:
        """For those who cannot wait."""
        for worker in list(self._present.values()):
            worker.kill()

    async def _launch(self, slot: int) -> GatewayProcess:
        known = tuple(dump(one) for one in self._learned.known())
        start = replace(self._start, slot=slot, generation=next(self._generations), estimates=known)
        worker = GatewayProcess(start, self._heard)
        self._present[worker.name] = worker
        self._current.setdefault(slot, worker)
        try:
            await worker.start(self._spawner)
        except OSError:
            del self._present[worker.name]
            raise
        if self._table is not None:
            worker.send("table", table=self._table)
        if self._log is not None:
            worker.send("log", settings=asdict(self._log))
        for fingerprint, until in self._condemned.items():
            worker.send("condemned", fingerprint=fingerprint, remember_s=until - time.monotonic())
        return worker

    async def _keep(self, slot: int) -> None:
        """Start the slot's worker again whenever it ends without having been asked to."""
        strikes = 0
        while True:
            worker = self._current[slot]
            await worker.ended.wait()
            async with self._locks[slot]:
                # A rolling restart may have put its successor in place meanwhile.
                if self._current[slot] is not worker:
                    continue
                strikes = strikes_after(strikes, time.monotonic() - worker.started_at)
                await self._restart(worker, strikes)

    async def _watch(self) -> None:
        """See to the listeners of workers that live and do nothing, and end those that stay so."""
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            late = time.monotonic() - looked_at > 2 * _LOOK_EVERY_S
            looked_at = time.monotonic()
            # When this process itself was stopped for a while, the workers' reports are still unread.
            for worker in [] if late else list(self._present.values()):
                self._judge(worker)

    def _judge(self, worker: GatewayProcess) -> None:
        if worker.silent_s > _KILLED_AFTER_S and not worker.leaving:
            worker.kill()
        elif worker.silent_s > _STALLED_AFTER_S and not worker.stalled:
            worker.stalled = True
            text = f"gateway worker {worker.slot} has not reported for {worker.silent_s:.0f} s"
            self._reports.emit(Event("trouble", f"gateway {worker.slot}", text))
            self._cover()

    async def _restart(self, worker: GatewayProcess, strikes: int) -> None:
        part = f"gateway {worker.slot}"
        self.crashes += 1
        self._reports.emit(Event("crashed", part, f"gateway worker {worker.slot} ended: {worker.how_it_ended()}"))
        if wait_s := delay_s(strikes):
            text = f"gateway worker {worker.slot} starts again in {wait_s:g} s"
            self._reports.emit(Event("restarting", part, text, {"wait_s": wait_s}))
            await asyncio.sleep(wait_s)
        launch = partial(self._launch, worker.slot)
        self._current[worker.slot] = await relaunched(launch, part, strikes, self._reports.emit)
        self._reports.emit(Event("restarted", part, f"gateway worker {worker.slot} was started again"))

    async def _replace(self, slot: int) -> bool:
        predecessor = self._current[slot]
        try:
            successor = await self._launch(slot)
        except OSError as error:
            # No room for a process, or no descriptors: who waits for the end of the roll must hear of it.
            self._give_up(slot, f"could not be started ({error.strerror or error})")
            return False
        if not await _became_ready(successor, _READY_WITHIN_S):
            self._give_up(slot, f"did not become ready ({successor.how_it_ended()})")
            successor.kill()
            return False
        self._current[slot] = successor
        self.rolled += 1
        await predecessor.drain(self._start.grace_s)
        return True

    def _give_up(self, slot: int, why: str) -> None:
        text = f"the new gateway worker {slot} {why}; the old one goes on"
        self._reports.emit(Event("roll_failed", f"gateway {slot}", text))

    def _changed(self, worker: GatewayProcess) -> None:
        if worker.ended.is_set():
            self._present.pop(worker.name, None)
            # Here, since a worker that a roll replaces, or has just started, is not started again.
            if worker.died_in is not None:
                self._reports.faulted(worker.died_in)
            self._reports.gone(worker)
            self._learned.gone(worker.name)
        self._cover()

    def _cover(self) -> None:
        if self._stopping:
            return
        wanted = covered(self._start.workers, [worker.view() for worker in self._present.values()])
        for name, slots in wanted.items():
            worker = self._present[name]
            self._say_adopted(worker, slots)
            worker.serve(frozenset(slots))

    def _say_adopted(self, worker: GatewayProcess, slots: set[int]) -> None:
        for slot in slots - worker.view().serving - {worker.slot}:
            if not (self._current[slot].lost or self._current[slot].stalled):
                continue
            text = f"gateway worker {worker.slot} serves the listener of worker {slot} meanwhile"
            self._reports.emit(Event("adopted", f"gateway {slot}", text))

    def _message(self, worker: GatewayProcess, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "stats":
                self._reports.counts(worker, message["stats"])
                self._learned.told(worker.name, message["stats"].get("estimates", ()))
            case "refused":
                self._refused(message)
            case "condemned":
                self._condemn(worker, message["fingerprint"])
            case "ask":
                # What was begun is done, also when the one who asked has gone.
                task = asyncio.create_task(answer_asked(message, self._obey, worker.send))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            case "trouble":
                self._reports.emit(Event("trouble", f"gateway {worker.slot}", message["text"]))
            case _:
                return

    def _condemn(self, finder: GatewayProcess, fingerprint: str) -> None:
        """What crashed the replicas of one worker is refused by all, those started later too."""
        now = time.monotonic()
        self._condemned = {each: until for each, until in self._condemned.items() if until > now}
        self._condemned[fingerprint] = now + _CONDEMNED_S
        for worker in self._present.values():
            if worker is not finder:
                worker.send("condemned", fingerprint=fingerprint, remember_s=_CONDEMNED_S)

    def _refused(self, message: Mapping[str, Any]) -> None:
        named = f"{message['model']}/{message['version']}"
        # Every worker finds out by itself; people want to read it once.
        if self._refusals.get(named) != message["why"]:
            self._refusals[named] = message["why"]
            self._reports.emit(Event("refused", named, message["why"], dict(message)))


async def _answered_in_time(asked: Awaitable[Facts], within_s: float) -> Facts | None:
    """What a worker answered; None when it did not in time, or ended."""
    try:
        async with asyncio.timeout(within_s):
            return await asked
    except (ServingError, TimeoutError):
        return None


async def _nobody(asked: Facts) -> Facts:
    raise NotReady(f"the session cannot answer {asked['what']!r} yet; try again in a moment")


async def _became_ready(worker: GatewayProcess, within_s: float) -> bool:
    """False when it ended first, or took too long."""
    waits = [asyncio.ensure_future(worker.ready.wait()), asyncio.ensure_future(worker.ended.wait())]
    await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return worker.ready.is_set() and not worker.ended.is_set()
