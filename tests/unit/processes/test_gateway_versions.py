"""Versions come and go in a worker, and neither a slow load nor a long queue leaves anything behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serving.backends.backend import Backend
from serving.backends.in_process import InProcess
from serving.config.settings import Settings
from serving.errors import BadRequest, ModelUnservable, NotReady
from serving.inference import Hosted, Signature, Stacked, Tensor, TensorSpec, VersionKey
from serving.processes import gateway_versions
from serving.processes.gateway_versions import GatewayVersions
from serving.processes.session_plan import ServedModel
from serving.request_path.variants import Variants
from serving.routing.table import Route, RouteTable, Served, Split
from serving.runtime.loaded_model import ModelSource
from serving.runtime.onnx_session import Interrupt
from serving.testing.backend import EchoBackend

KEY = VersionKey("doubler", 2)
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), ())


class Loaded:
    """A version that was loaded; each is another one."""

    def __init__(self, key: VersionKey) -> None:
        self.hosted = Hosted(key, SIGNATURE, batchable=True)

    def run(self, inputs: Sequence[Stacked | Tensor], rows: int, interrupt: Interrupt | None = None) -> tuple[Tensor]:
        raise AssertionError("nothing runs here")


class Loads:
    """Loads end when a test lets them, and count."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = threading.Event()
        self.why = ""

    def open(self, source: ModelSource) -> Loaded:
        self.begun += 1
        assert self.may_end.wait(30)
        if self.why:
            raise ModelUnservable(self.why)
        return Loaded(source.key)


class Queue:
    """`busy` as a test wants it."""

    def __init__(self) -> None:
        self.waits = False
        self._looks = 0
        self._looked_often = asyncio.Event()

    def busy(self, key: VersionKey) -> bool:
        self._looks += 1
        if self._looks >= 5:
            self._looked_often.set()
        return self.waits

    def leaving(self, key: VersionKey) -> bool:
        return self.busy(key)

    async def was_looked_at_often(self) -> None:
        async with asyncio.timeout(10):
            await self._looked_often.wait()

    def follow(self, backend: object) -> None:
        """Nobody asks here."""


class Worker:
    """What a supervisor asks, and what comes of it."""

    def __init__(self, path: Path) -> None:
        self.loads = Loads()
        self.queue = Queue()
        self.backend = InProcess([], open_model=self.loads.open)
        settings = Settings.model_validate({"engine": {"kind": "in-process"}})
        variants = cast("Variants", self.queue)
        self.versions = GatewayVersions(settings, {"gateway": self.backend}, variants, lambda pool: self.backend)
        self.served = asdict(ServedModel(*KEY, str(path / "doubler" / "2" / "model.onnx")))

    async def load(self) -> None:
        await self.versions.obey({"what": "load", "served": self.served})

    async def unload(self) -> None:
        await self.versions.obey({"what": "unload", "model": KEY.model, "version": KEY.version})

    async def described(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.versions.obey({"what": "describe"}))[what]
        return found

    async def loaded(self) -> None:
        self.loads.may_end.set()
        await self.load()

    async def all_ended(self) -> None:
        """Every thread that loads has handed over what it had."""
        self.loads.may_end.set()
        for thread in threading.enumerate():
            if thread.name == f"open {KEY}":
                await asyncio.to_thread(thread.join)
        await asyncio.sleep(0)


@pytest.fixture
async def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    monkeypatch.setattr(gateway_versions, "_LOOK_S", 0.0)
    monkeypatch.setattr(gateway_versions, "_FEATURES_S", 0.0)
    worker = Worker(tmp_path)
    await worker.backend.start()
    yield worker
    worker.loads.may_end.set()
    await worker.backend.stop()


async def test_a_version_is_hosted_once_it_is_loaded_and_gone_once_it_is_unloaded(worker: Worker) -> None:
    await worker.loaded()
    assert list(await worker.described("hosted")) == ["doubler/2"]
    await worker.load()
    assert worker.loads.begun == 1
    await worker.unload()
    assert await worker.described("hosted") == {}


async def test_a_version_that_cannot_be_loaded_is_refused_until_it_is_unloaded(worker: Worker) -> None:
    worker.loads.why = "cut off; copy it again"
    with pytest.raises(ModelUnservable, match="cut off"):
        await worker.loaded()
    assert await worker.described("refused") == {"doubler/2": "cut off; copy it again"}
    await worker.unload()
    assert await worker.described("refused") == {}


async def test_a_version_is_let_go_only_when_nobody_waits_for_it_any_more(worker: Worker) -> None:
    await worker.loaded()
    worker.queue.waits = True
    leaving = asyncio.create_task(worker.unload())
    await worker.queue.was_looked_at_often()
    assert KEY in worker.backend.hosted()
    worker.queue.waits = False
    await leaving
    assert KEY not in worker.backend.hosted()


async def test_those_whose_features_are_being_read_have_time_to_reach_the_queue(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worker.loaded()
    monkeypatch.setattr(gateway_versions, "_FEATURES_S", 0.02)
    leaving = asyncio.create_task(worker.unload())
    await asyncio.sleep(0.01)
    worker.queue.waits = True
    await worker.queue.was_looked_at_often()
    assert KEY in worker.backend.hosted()
    worker.queue.waits = False
    await leaving


async def test_who_waits_for_ever_does_not_keep_a_version(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    await worker.loaded()
    monkeypatch.setattr(gateway_versions, "_EMPTY_WITHIN_S", 0.02)
    worker.queue.waits = True
    await worker.unload()
    assert KEY not in worker.backend.hosted()


async def test_a_version_that_took_too_long_is_not_hosted_when_it_comes_after_all(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hasty:
        hasty.setattr(gateway_versions, "_HOSTED_WITHIN_S", 0.0)
        with pytest.raises(NotReady, match="was not loaded within"):
            await worker.load()
    await worker.unload()
    await worker.all_ended()
    assert await worker.described("hosted") == {}
    await worker.load()
    assert worker.loads.begun == 2
    assert list(await worker.described("hosted")) == ["doubler/2"]


async def test_a_refusal_that_comes_for_a_version_that_was_let_go_is_forgotten(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.loads.why = "cut off"
    monkeypatch.setattr(gateway_versions, "_HOSTED_WITHIN_S", 0.0)
    with pytest.raises(NotReady):
        await worker.load()
    await worker.unload()
    await worker.all_ended()
    assert await worker.described("refused") == {}


async def test_a_second_order_takes_over_the_load_that_is_under_way(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hasty:
        hasty.setattr(gateway_versions, "_HOSTED_WITHIN_S", 0.0)
        with pytest.raises(NotReady):
            await worker.load()
    await worker.unload()
    again = asyncio.create_task(worker.load())
    await asyncio.sleep(0.01)
    await worker.loaded()
    await again
    assert worker.loads.begun == 1
    assert KEY in worker.backend.hosted()


async def test_a_version_from_another_place_is_loaded_after_the_one_under_way(worker: Worker, tmp_path: Path) -> None:
    first, second = (ModelSource(KEY, tmp_path / place) for place in ("here", "there"))
    worker.backend.load(first)
    worker.backend.unload(KEY)
    worker.backend.load(second)
    assert worker.loads.begun <= 1
    await worker.all_ended()
    await worker.all_ended()
    assert worker.loads.begun == 2
    assert KEY in worker.backend.hosted()


async def test_a_question_of_a_newer_release_is_refused(worker: Worker) -> None:
    with pytest.raises(BadRequest, match="does not know 'dance'"):
        await worker.versions.obey({"what": "dance"})


async def test_a_version_has_left_its_own_replicas_once_nothing_waits_there(worker: Worker) -> None:
    worker.queue.waits = True
    leaving = asyncio.create_task(
        worker.versions.obey({"what": "leave", "model": KEY.model, "version": KEY.version}),
    )
    await worker.queue.was_looked_at_often()
    assert not leaving.done()
    worker.queue.waits = False
    await leaving


async def test_a_canary_is_ready_in_a_worker_once_its_home_and_its_own_replicas_host_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_versions, "_LOOK_S", 0.0)
    there = Hosted(KEY, SIGNATURE, batchable=True)
    home, own = EchoBackend([there]), EchoBackend([])
    made: list[str] = []

    def make(pool: str) -> EchoBackend:
        made.append(pool)
        return own

    variants = cast("Variants", Queue())
    versions = GatewayVersions(Settings(), {"default": home}, variants, make)
    served = ServedModel(*KEY, str(tmp_path / "doubler" / "2" / "model.onnx"), own_replicas=1)
    loading = asyncio.create_task(versions.obey({"what": "load", "served": asdict(served)}))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not loading.done()
    own.host(KEY, there)
    await loading
    assert made == ["doubler-canary"]


async def test_a_pool_that_a_table_leads_to_is_asked_from_then_on() -> None:
    begun: list[str] = []

    class Begins(EchoBackend):
        async def start(self) -> None:
            begun.append("started")

    def make(pool: str) -> Backend:
        if pool == "unreachable":
            raise ModelUnservable("no control state")
        return Begins()

    backends: dict[str, Backend] = {}
    followed: list[Backend] = []
    variants = cast("Variants", SimpleNamespace(follow=followed.append))
    versions = GatewayVersions(Settings(), backends, variants, make)
    # One that was known before the worker began starts with it, once.
    versions.follow(leading_to("first"))
    assert begun == []
    await versions.start()
    versions.follow(leading_to("first", "second", "unreachable"))
    await asyncio.sleep(0)
    assert begun == ["started", "started"]
    assert list(backends) == ["first", "second"]
    assert followed == list(backends.values())


def leading_to(*pools: str) -> RouteTable:
    served = tuple(Served(number, pool) for number, pool in enumerate(pools, 1))
    return RouteTable(1, {"m": Route("m", "s", (Split("stable", 1, 10_000),), served)})
