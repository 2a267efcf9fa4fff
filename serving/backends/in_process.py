"""Hosts versions inside the gateway's own process: no hop, the smallest latency, right for small models."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Protocol, TypeVarTuple

from serving.backends.backend import Changed
from serving.backends.in_flight import InFlight
from serving.backends.waiting import WaitNotes
from serving.errors import ModelFailed, NotReady, ServingError
from serving.inference import Batch, Hosted, Outputs, Stacked, Tensor, TensorSpec, VersionKey
from serving.runtime import freed_memory, low_priority
from serving.runtime.loaded_model import LoadedModel, ModelSource
from serving.runtime.onnx_session import Interrupt
from serving.runtime.short_runs import ShortRuns

log = logging.getLogger(__name__)

_STOP_S = 2.0

Outcome = tuple[Tensor, ...] | ServingError
Given = TypeVarTuple("Given")


class Loaded(Protocol):
    """A version that is loaded and warm: `LoadedModel`, or what a test puts in its place."""

    hosted: Hosted

    def run(
        self, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None
    ) -> tuple[Tensor, ...]:
        """See `LoadedModel.run`."""


_BYTES_APART = 32


@dataclass(slots=True)
class _Host:
    """One version that can run; `by_rows`: its run time is a matter of rows, else of bytes.

    `one_thread`: all of a run happens in the thread that calls it. `number` stands for it where is written what is in
    flight.
    """

    model: Loaded
    by_rows: bool
    one_thread: bool
    number: int = 0
    short: ShortRuns = field(default_factory=ShortRuns)

    def size(self, batch: Batch) -> int:
        if self.by_rows and batch.rows:
            return batch.rows
        size = sum(len(part) for stacked in batch.inputs for part in stacked.parts)
        # A request that runs whole where others run by rows: its bytes are kept apart from their rows.
        return size << _BYTES_APART if self.by_rows else size


@dataclass(slots=True, eq=False)
class _Job:
    """A batch in a worker thread; `reply` is settled on the loop's thread."""

    host: _Host
    batch: Batch
    reply: asyncio.Future[tuple[Tensor, ...]]
    interrupt: Interrupt = field(default_factory=Interrupt)
    run_s: float = 0.0
    took_s: float = 0.0


class InProcess:
    """A `Backend` whose batches run inline where they are measured short, else in one of a few threads.

    A crash in native code ends the whole gateway here, so
    `Batch.alone` cannot help: versions under suspicion belong into a pool. `in_flight` tells others what ran then.
    """

    def __init__(
        self,
        sources: Iterable[ModelSource],
        threads: int = 2,
        clock: Callable[[], float] = time.perf_counter,
        open_model: Callable[[ModelSource], Loaded] = LoadedModel.open,
        in_flight: InFlight | None = None,
    ) -> None:
        self._sources = list(sources)
        self._clock = clock
        self._in_flight = in_flight or InFlight()
        self._places = self._in_flight.places
        self._open_model = open_model
        self._hosts: dict[VersionKey, _Host] = {}
        self._hosted: dict[VersionKey, Hosted] = {}
        self._refused: dict[VersionKey, str] = {}
        # What shall be hosted once it is loaded, and what a thread loads now, wanted or not: no thread can be stopped.
        self._wanted = {source.key: source for source in self._sources}
        self._opening = set(self._wanted)
        self._callbacks: list[Changed] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._running: set[_Job] = set()
        # The loop's own place comes first.
        self._threads = [
            threading.Thread(target=self._work, args=(place,), name=f"run-{place - 1}", daemon=True)
            for place in range(1, threads + 1)
        ]
        # Not the loop's own executor, which a closing loop waits for: a model may load for ever.
        self._opener = threading.Thread(target=self._open_all, name="open models", daemon=True)
        self._to_open = len(self._sources)
        self._stopped = False

    async def start(self) -> None:
        """Begin to load, one version after the other; each is hosted as soon as it is warm."""
        self._loop = asyncio.get_running_loop()
        for thread in (self._opener, *self._threads):
            thread.start()

    async def stop(self) -> None:
        """Runs end at the model's next node; their batches fail with `NotReady`."""
        self._stopped = True
        for job in tuple(self._running):
            job.interrupt.fire()
            if not job.reply.done():
                job.reply.set_exception(NotReady(f"model {job.batch.key} is being unloaded; try again"))
        for _ in self._threads:
            self._jobs.put(None)
        await asyncio.to_thread(self._join)
        self._hosts.clear()
        self._hosted.clear()

    def load(self, source: ModelSource) -> None:
        """Begin to load one more version, beside those that run; it becomes hosted or refused.

        One that is being loaded already is not loaded a second time beside it.
        """
        self._refused.pop(source.key, None)
        self._wanted[source.key] = source
        if source.key not in self._opening:
            self._begin(source)

    def unload(self, key: VersionKey) -> None:
        """Take no new batch for it; one that runs holds the model until it ends, one being loaded is dropped then."""
        self._wanted.pop(key, None)
        self._hosts.pop(key, None)
        self._hosted.pop(key, None)
        self._refused.pop(key, None)
        self._tell(key)

    def hosted(self) -> Mapping[VersionKey, Hosted]:
        """What is loaded and warm."""
        return self._hosted

    def refused(self) -> Mapping[VersionKey, str]:
        """Which file, what is wrong with it and what to do."""
        return self._refused

    def settled(self) -> bool:
        """Every version that was there at the start is warm or refused; one loaded later unsettles nobody."""
        return not self._to_open and not self._stopped

    def on_change(self, callback: Changed) -> None:
        """Called on the loop's thread, once for each version that becomes ready or turns out unservable."""
        self._callbacks.append(callback)

    def slots(self, key: VersionKey) -> int:
        """One: inline runs never overlap, and behind a run in a thread the next batch grows."""
        return 1 if key in self._hosts else 0

    def servers(self, key: VersionKey) -> int:
        """As many as slots."""
        return self.slots(key)

    def shared_slots(self) -> tuple[int, int] | None:
        """A version that runs in a thread holds up none that runs inline."""
        return None

    def beside(self) -> bool:
        """Short runs hold the loop, and what is in a thread is long."""
        return False

    def waits(self) -> WaitNotes | None:
        """The gateway's own process does not scale."""
        return None

    async def run(self, batch: Batch) -> Outputs:
        """Never suspends where the run is short, so that a batch costs one callback."""
        host = self._hosts.get(batch.key)
        if host is None or self._stopped:
            raise NotReady(f"model {batch.key} is not loaded here")
        size = host.size(batch)
        if not host.short.allow(size):
            return await self._in_thread(host, batch, size)
        started, began = self._clock(), time.thread_time()
        run_s = worked_s = 0.0
        places = self._places
        # Both together 0.15 us.
        places[0] = host.number
        try:
            tensors = host.model.run(batch.inputs, batch.rows)
        finally:
            places[0] = 0
            run_s, worked_s = self._clock() - started, time.thread_time() - began
            host.short.saw(size, run_s)
        return Outputs(tensors, run_s, worked_s=worked_s if host.one_thread else 0.0)

    async def _in_thread(self, host: _Host, batch: Batch, size: int) -> Outputs:
        job = _Job(host, batch, self._loop.create_future())
        self._running.add(job)
        self._jobs.put(job)
        try:
            tensors = await job.reply
            host.short.saw(size, job.run_s)
            return Outputs(tensors, job.took_s, worked_s=job.run_s if host.one_thread else 0.0)
        finally:
            # Where nobody waits any more, a run that goes on would only keep the thread from the next.
            job.interrupt.fire()
            self._running.discard(job)

    def _work(self, place: int) -> None:
        while (job := self._jobs.get()) is not None:
            if job.reply.done():
                continue
            # Processor time: one that waited for a core or for the GIL was not a long run.
            started, began = time.thread_time(), self._clock()
            outcome: Outcome
            self._places[place] = job.host.number
            try:
                outcome = job.host.model.run(job.batch.inputs, job.batch.rows, job.interrupt)
            except ServingError as error:
                outcome = error
            # A worker that dies would leave its batch, and all later ones, waiting for ever.
            except Exception as error:
                log.exception("a batch of %s could not be run", job.batch.key)
                outcome = ModelFailed(f"model {job.batch.key}: {type(error).__name__}: {error}")
            self._places[place] = 0
            job.run_s = time.thread_time() - started
            job.took_s = self._clock() - began
            self._on_loop(_settle, job, outcome)

    def _begin(self, source: ModelSource) -> None:
        self._opening.add(source.key)
        threading.Thread(target=self._open_beside, args=(source,), name=f"open {source.key}", daemon=True).start()

    def _open_all(self) -> None:
        with freed_memory.kept_little():
            for source in self._sources:
                if self._stopped:
                    return
                self._open(source, first=True)
            freed_memory.give_back()

    def _open_beside(self, source: ModelSource) -> None:
        if not source.options.starts_threads:
            low_priority.take()
        self._open(source)

    def _open(self, source: ModelSource, *, first: bool = False) -> None:
        try:
            with self._in_flight.loading(source.key):
                model = self._open_model(source)
            self._on_loop(self._opened, source, model, first)
        except ServingError as error:
            self._on_loop(self._opened, source, error.message, first)
        # One version's surprise must not keep the others from being served.
        except Exception as error:
            log.exception("version %s could not be loaded", source.key)
            self._on_loop(self._opened, source, f"{source.path}: {type(error).__name__}: {error}", first)

    def _opened(self, source: ModelSource, came: Loaded | str, first: bool) -> None:  # noqa: FBT001 - called by the loop
        """Host it, or keep why it cannot be; unless it was let go while it was being loaded."""
        key = source.key
        self._to_open -= first
        self._opening.discard(key)
        wanted = self._wanted.get(key)
        if wanted == source:
            del self._wanted[key]
            if isinstance(came, str):
                self._refused[key] = came
            else:
                self._add(came, one_thread=not source.options.starts_threads)
        elif wanted is not None:
            self._begin(wanted)
        self._tell(key)

    def _add(self, model: Loaded, *, one_thread: bool) -> None:
        hosted = model.hosted
        by_rows = hosted.batchable and all(_same_each_row(spec) for spec in hosted.signature.inputs)
        host = self._hosts[hosted.key] = _Host(model, by_rows, one_thread, self._in_flight.number_of(hosted.key))
        if by_rows:
            host.short.saw(1, hosted.run_s)
        self._hosted[hosted.key] = hosted

    def _tell(self, key: VersionKey) -> None:
        for callback in self._callbacks:
            callback(key)

    def _on_loop(self, callback: Callable[[*Given], None], *given: *Given) -> None:
        # A loop that has closed meanwhile has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *given)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(_STOP_S)


def _same_each_row(spec: TensorSpec) -> bool:
    return spec.fixed_trailing and spec.datatype != "BYTES"


def _settle(job: _Job, outcome: Outcome) -> None:
    if job.reply.done():
        return
    if isinstance(outcome, ServingError):
        job.reply.set_exception(outcome)
    else:
        job.reply.set_result(outcome)
