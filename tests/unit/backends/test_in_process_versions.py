"""Versions that a gateway loads and lets go while it serves others."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from serving.backends.in_process import InProcess
from serving.errors import NotReady
from serving.inference import VersionKey
from serving.runtime.loaded_model import LoadedModel, ModelSource
from serving.runtime.options import RuntimeOptions
from serving.testing import models
from tests.unit.backends.test_in_process import batch, hosting, key, values

SECOND = VersionKey("doubler", 2)


async def until_known(backend: InProcess, wanted: VersionKey) -> None:
    known = asyncio.Event()
    backend.on_change(lambda _: known.set() if wanted in backend.hosted() or wanted in backend.refused() else None)
    if wanted not in backend.hosted() and wanted not in backend.refused():
        await known.wait()


async def test_a_version_loaded_later_unsettles_nobody_and_can_then_run(tmp_path: Path) -> None:
    async with hosting(tmp_path, "doubler") as backend:
        backend.load(ModelSource(SECOND, models.save(tmp_path, "doubler", 2, models.doubler())))
        assert backend.settled()
        await until_known(backend, SECOND)
        assert set(backend.hosted()) == {key("doubler"), SECOND}
        assert values(await backend.run(batch("doubler", [[1, 2, 3, 4]]))) == [[2, 4, 6, 8]]
        assert backend.settled()


async def test_a_version_loaded_later_yields_to_those_that_run_unless_its_session_keeps_threads(tmp_path: Path) -> None:
    policies: dict[VersionKey, int] = {}

    def telling(source: ModelSource) -> LoadedModel:
        policies[source.key] = os.sched_getscheduler(0)
        return LoadedModel.open(source)

    path = models.save(tmp_path, "doubler", 1, models.doubler())
    threaded = VersionKey("doubler", 3)
    backend = InProcess([ModelSource(key("doubler"), path)], open_model=telling)
    await backend.start()
    try:
        await until_known(backend, key("doubler"))
        backend.load(ModelSource(SECOND, path))
        backend.load(ModelSource(threaded, path, RuntimeOptions(inter_op_threads=2)))
        await until_known(backend, SECOND)
        await until_known(backend, threaded)
    finally:
        await backend.stop()
    assert policies == {key("doubler"): os.SCHED_OTHER, SECOND: os.SCHED_BATCH, threaded: os.SCHED_OTHER}


async def test_a_version_that_cannot_be_loaded_is_refused_and_may_be_tried_again(tmp_path: Path) -> None:
    async with hosting(tmp_path, "doubler") as backend:
        path = tmp_path / "doubler" / "2" / "model.onnx"
        backend.load(ModelSource(SECOND, path))
        await until_known(backend, SECOND)
        assert str(path) in backend.refused()[SECOND]
        assert backend.settled()
        backend.load(ModelSource(SECOND, models.save(tmp_path, "doubler", 2, models.doubler())))
        assert SECOND not in backend.refused()
        await until_known(backend, SECOND)
        assert SECOND in backend.hosted()


async def test_a_version_that_is_let_go_takes_no_batch_and_leaves_the_others_alone(tmp_path: Path) -> None:
    async with hosting(tmp_path, "doubler", "mlp") as backend:
        backend.unload(key("doubler"))
        assert set(backend.hosted()) == {key("mlp")}
        assert backend.slots(key("doubler")) == 0
        with pytest.raises(NotReady):
            await backend.run(batch("doubler", [[1, 2, 3, 4]]))
        assert backend.settled()
        await backend.run(batch("mlp", [[0.0] * 32], "input"))
