"""Versions hosted inside the gateway: short runs stay on the loop, long ones leave it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from serving.backends.backend import Backend
from serving.backends.in_flight import InFlight, in_flight
from serving.backends.in_process import InProcess, Loaded
from serving.errors import ModelFailed, NotReady
from serving.inference import Batch, Hosted, Outputs, Signature, Stacked, Tensor, TensorSpec, VersionKey
from serving.runtime.loaded_model import ModelSource
from serving.runtime.onnx_session import Interrupt
from serving.runtime.options import DEFAULTS, RuntimeOptions
from serving.testing import models
from serving.testing.bad_models import BAD


@asynccontextmanager
async def hosting(root: Path, *names: str) -> AsyncIterator[InProcess]:
    """A backend with these models of the zoo loaded, or known to be unservable."""
    sources = [ModelSource(key(name), models.save(root, name, 1, models.ZOO[name]())) for name in names]
    backend = InProcess(sources)
    await started(backend)
    try:
        yield backend
    finally:
        await backend.stop()


async def started(backend: InProcess) -> None:
    settled = asyncio.Event()
    backend.on_change(lambda _: settled.set() if backend.settled() else None)
    await backend.start()
    assert not backend.settled()
    await settled.wait()


def key(name: str) -> VersionKey:
    return VersionKey(name, 1)


def batch(name: str, rows: Sequence[Sequence[float]], tensor: str = "x") -> Batch:
    parts = [np.array(row, np.float32).tobytes() for row in rows]
    stacked = Stacked(tensor, "FP32", (len(rows), len(rows[0])), list(parts))
    return Batch(key(name), (stacked,), len(rows), expires_at=1e18)


def values(outputs: Outputs) -> list[list[float]]:
    tensor = outputs.tensors[0]
    array = np.frombuffer(tensor.data, np.float32).reshape(tensor.shape)
    return [[float(value) for value in row] for row in array]


async def test_rows_of_several_requests_are_answered_in_their_order(tmp_path: Path) -> None:
    async with hosting(tmp_path, "doubler") as backend:
        answered = await backend.run(batch("doubler", [[1, 2, 3, 4], [5, 6, 7, 8]]))
        assert values(answered) == [[2, 4, 6, 8], [10, 12, 14, 16]]
        as_protocol: Backend = backend
        assert as_protocol.slots(key("doubler")) == 1


async def test_a_batch_of_a_version_that_is_not_here_is_not_ready(tmp_path: Path) -> None:
    async with hosting(tmp_path, "doubler") as backend:
        assert backend.slots(key("other")) == 0
        with pytest.raises(NotReady, match="other/1 is not loaded"):
            await backend.run(batch("other", [[1, 2, 3, 4]]))


async def test_a_model_that_raises_fails_its_batch_and_runs_the_next(tmp_path: Path) -> None:
    async with hosting(tmp_path, "raises-on-13") as backend:
        with pytest.raises(ModelFailed, match="raises-on-13/1 failed"):
            await backend.run(batch("raises-on-13", [[1], [13]]))
        assert values(await backend.run(batch("raises-on-13", [[1], [12]]))) == [[1], [12]]


async def test_what_cannot_be_loaded_is_refused_with_the_reason_and_the_rest_is_served(tmp_path: Path) -> None:
    sources = [
        ModelSource(key("truncated"), BAD["truncated"](tmp_path, "truncated")),
        ModelSource(key("doubler"), models.save(tmp_path, "doubler", 1, models.doubler())),
    ]
    backend = InProcess(sources)
    await started(backend)
    assert set(backend.hosted()) == {key("doubler")}
    assert "the file is cut off" in backend.refused()[key("truncated")]
    await backend.stop()


async def test_a_surprise_while_loading_is_a_refusal_too(caplog: pytest.LogCaptureFixture) -> None:
    def surprise(source: ModelSource) -> Fake:
        raise MemoryError("no room")

    backend = InProcess([ModelSource(key("m"), Path("m"))], open_model=surprise)
    await started(backend)
    assert backend.refused()[key("m")] == "m: MemoryError: no room"
    assert "m/1 could not be loaded" in caplog.text
    await backend.stop()


async def test_a_short_run_is_done_before_anything_else_happens_on_the_loop(tmp_path: Path) -> None:
    async with hosting(tmp_path, "doubler") as backend:
        running = asyncio.create_task(backend.run(batch("doubler", [[1, 2, 3, 4]])))
        await asyncio.sleep(0)
        assert running.done()


async def test_the_loop_goes_on_while_a_long_run_is_in_a_thread() -> None:
    async with faking(Fake(run_s=0.5)) as (backend, fake):
        running = asyncio.create_task(backend.run(batch("m", [[1]])))
        await asyncio.sleep(0)
        assert not running.done()
        fake.may_end.set()
        assert values(await running) == [[7]]


async def test_a_run_that_was_never_measured_leaves_the_loop_and_then_stays_if_it_was_short() -> None:
    async with faking(Fake(run_s=0.0)) as (backend, fake):
        fake.may_end.set()
        for expected_on_loop in (False, True):
            await backend.run(batch("m", [[1]] * 40))
            assert (fake.ran_in == threading.get_ident()) == expected_on_loop


async def test_a_run_that_turns_out_long_sends_the_next_ones_of_its_size_to_a_thread() -> None:
    now = [0.0]
    async with faking(Fake(run_s=0.0, clock=now), lambda: now[0]) as (backend, fake):
        fake.may_end.set()
        for takes_s, expected_on_loop in ((0.01, True), (0.0, False), (0.0, False)):
            fake.takes_s = takes_s
            await backend.run(batch("m", [[1]]))
            assert (fake.ran_in == threading.get_ident()) == expected_on_loop


async def test_what_a_processor_worked_for_a_run_is_told_beside_its_time_where_one_thread_does_all_of_it() -> None:
    now = [0.0]
    for threads in (1, 4):
        options = RuntimeOptions(intra_op_threads=threads)
        async with faking(Fake(clock=now), lambda: now[0], options=options) as (backend, fake):
            fake.may_end.set()
            fake.takes_s = 1_000.0
            for _ in ("on the loop", "in a thread"):
                outputs = await backend.run(batch("m", [[1]]))
                assert outputs.run_s == 1_000.0
                assert (0.0 < outputs.worked_s < 100.0) if threads == 1 else outputs.worked_s == 0.0


async def test_requests_that_run_whole_are_told_apart_by_their_bytes() -> None:
    async with faking(Fake(run_s=0.0, batchable=False)) as (backend, fake):
        fake.may_end.set()
        whole = Batch(key("m"), (Stacked("x", "FP32", (8, 100), [bytes(3200)]),), 0, 1e18)
        await backend.run(whole)
        assert fake.ran_in != threading.get_ident()
        await backend.run(whole)
        assert fake.ran_in == threading.get_ident()
        whole.inputs = (Stacked("x", "FP32", (80, 100), [bytes(32000)]),)
        await backend.run(whole)
        assert fake.ran_in != threading.get_ident()


async def test_cancelling_tells_the_model_and_the_thread_takes_the_next_batch() -> None:
    async with faking(Fake(run_s=0.5), threads=1) as (backend, fake):
        left = asyncio.create_task(backend.run(batch("m", [[1]])))
        await asyncio.to_thread(fake.began.wait)
        behind = asyncio.create_task(backend.run(batch("m", [[1]])))
        await asyncio.sleep(0)
        left.cancel()
        behind.cancel()
        await asyncio.wait([left, behind])
        assert fake.interrupts[0].options.terminate
        fake.may_end.set()
        assert values(await backend.run(batch("m", [[1]]))) == [[7]]
        assert len(fake.interrupts) == 2, "the batch that left before it began must not run"


async def test_an_error_of_any_kind_in_a_thread_reaches_its_batch_and_the_thread_lives() -> None:
    async with faking(Fake(run_s=0.5), threads=1) as (backend, fake):
        fake.may_end.set()
        fake.error = RuntimeError("surprise")
        with pytest.raises(ModelFailed, match="m/1: RuntimeError: surprise"):
            await backend.run(batch("m", [[1]]))
        fake.error = ModelFailed("refused")
        with pytest.raises(ModelFailed, match="refused"):
            await backend.run(batch("m", [[1]]))
        fake.error = None
        assert values(await backend.run(batch("m", [[1]]))) == [[7]]


async def test_stopping_fails_what_runs_and_what_waits_with_not_ready() -> None:
    async with faking(Fake(run_s=0.5), threads=1) as (backend, fake):
        running = [asyncio.create_task(backend.run(batch("m", [[1]]))) for _ in range(3)]
        await asyncio.to_thread(fake.began.wait)
        stopping = asyncio.create_task(backend.stop())
        for one in running:
            with pytest.raises(NotReady, match="m/1 is being unloaded"):
                await one
        with pytest.raises(NotReady):
            await backend.run(batch("m", [[1]]))
        fake.may_end.set()
        await stopping
        assert backend.hosted() == {}
        assert len(fake.interrupts) == 1


async def test_a_model_that_loads_for_ever_does_not_keep_the_backend_from_stopping() -> None:
    may_end = threading.Event()

    def endless(source: ModelSource) -> Fake:
        may_end.wait()
        return Fake()

    backend = InProcess([ModelSource(key("m"), Path("m")), ModelSource(key("n"), Path("n"))], open_model=endless)
    await backend.start()
    await backend.stop()
    may_end.set()


async def test_a_version_is_in_flight_while_it_runs_on_the_loop_or_in_a_thread_or_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "in-flight"
    seen: list[VersionKey | None] = []

    class Looking(Fake):
        def run(
            self, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None
        ) -> tuple[Tensor, ...]:
            seen.append(in_flight(file))
            return super().run(inputs, rows, interrupt)

    fake = Looking()

    def opened(source: ModelSource) -> Loaded:
        seen.append(in_flight(file))
        return fake

    backend = InProcess([ModelSource(key("m"), Path("m"))], open_model=opened, in_flight=InFlight(file))
    await started(backend)
    fake.may_end.set()
    await backend.run(batch("m", [[1]]))
    on_loop = fake.ran_in
    fake.error = ModelFailed("no")
    with pytest.raises(ModelFailed):
        await backend.run(batch("m", [[1]]))
    assert in_flight(file) is None
    for host in backend._hosts.values():
        host.short.saw(1, 1.0)
    with pytest.raises(ModelFailed):
        await backend.run(batch("m", [[1]]))
    assert in_flight(file) is None
    await backend.stop()
    assert fake.ran_in != on_loop
    assert seen == [key("m")] * 4


class Fake:
    """A loaded model that answers 7 for every row, when it may."""

    def __init__(self, *, run_s: float = 0.0, batchable: bool = True, clock: list[float] | None = None) -> None:
        spec = TensorSpec("x", "FP32", (-1, 1))
        self.hosted = Hosted(key("m"), Signature((spec,), (spec,)), batchable, run_s=run_s)
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.interrupts: list[Interrupt] = []
        self.ran_in = 0
        self.takes_s = 0.0
        self.error: Exception | None = None
        self._clock = clock

    def run(
        self, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None
    ) -> tuple[Tensor, ...]:
        self.ran_in = threading.get_ident()
        if interrupt is not None:
            self.interrupts.append(interrupt)
        self.began.set()
        while not self.may_end.wait(0.001):
            if interrupt is not None and interrupt.options.terminate:
                raise ModelFailed("interrupted")
        if self.error is not None:
            raise self.error
        if self._clock is not None:
            self._clock[0] += self.takes_s
        return (Tensor("x", "FP32", (rows, 1), np.full(rows, 7, np.float32).tobytes()),)


@asynccontextmanager
async def faking(
    fake: Fake,
    clock: Callable[[], float] = time.perf_counter,
    threads: int = 2,
    options: RuntimeOptions = DEFAULTS,
) -> AsyncIterator[tuple[InProcess, Fake]]:
    backend = InProcess([ModelSource(key("m"), Path("m"), options)], threads, clock, lambda source: fake)
    await started(backend)
    try:
        yield backend, fake
    finally:
        fake.may_end.set()
        await backend.stop()
