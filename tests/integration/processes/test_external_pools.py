"""A gateway without an engine of its own: the replicas of others, found through the control Redis."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.flights import sample
from serving.inference import VersionKey
from serving.pool.model_host import ModelHost
from serving.pool.registration import Registration
from serving.pool.wire_server import WireServer
from serving.routing.table import Route, RouteTable, Served, Split, dump, load
from serving.runtime.loaded_model import LoadedModel, ModelSource
from serving.state.member import Member, MemberVersion
from serving.state.table_store import TableStore
from tests.e2e.parts import until
from tests.e2e.sluice_up import SluiceUp
from tests.integration.valkey_server import Server

SECRET = "0123456789abcdef0123456789abcdef"
VERSIONS = [VersionKey("flight-delay", 1), VersionKey("flight-delay", 2)]


EARLIER = RouteTable(9, {"earlier": Route("earlier", "s", (Split("stable", 1, 10_000),), (Served(1, "elsewhere"),))})
UNAVAILABLE = 503


async def _put_in_force(url: str, table: RouteTable) -> None:
    store = TableStore(url)
    assert await store.publish(dump(table), table.epoch)
    await store.stop()


async def _in_force(url: str) -> list[str]:
    store = TableStore(url)
    data = await store.current()
    await store.stop()
    assert data is not None
    return sorted(load(data).routes)


@pytest.fixture
def control() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="sluice-"))
    server = Server(folder)
    server.start()
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_it_answers_by_replicas_that_others_run_also_what_only_its_own_configuration_knows(control: Server) -> None:
    # Of a gateway with an earlier configuration, which had another pool.
    asyncio.run(_put_in_force(control.url, EARLIER))
    host = ModelHost(LoadedModel.open)
    host.load([ModelSource(key, sample.MODELS / key.model / str(key.version) / "model.onnx") for key in VERSIONS])
    server = WireServer(host, SECRET.encode(), ["tcp:127.0.0.1:0"])
    server.start()
    member = Member("one", server.addresses[0], versions=tuple(MemberVersion(*key, True, True) for key in VERSIONS))
    registration = Registration(control.url, "default", lambda: member)
    registration.start()
    more = {"SLUICE_POOL_SECRET": SECRET, "SLUICE_STATE__CONTROL_URL": control.url}
    session = SluiceUp("--models", str(sample.MODELS), engine="external", **more)
    try:
        session.wait_until_ready()
        assert not any("raylet" in part.name() for part in session.look())
        with urllib.request.urlopen(f"http://127.0.0.1:{session.metrics_port}/metrics", timeout=10) as page:
            assert 'sluice_pool_replicas{pool="default"} 1.0' in page.read().decode()
        until(lambda: asyncio.run(_in_force(control.url)) == ["earlier", "flight-delay"], "what it knows is added")
        with session.connect() as connection:

            def nobody_runs_it() -> bool:
                return connection.post("/v2/models/earlier/infer", {"inputs": []}).status == UNAVAILABLE

            until(nobody_runs_it, "the worker has heard of it")
        session.close()
    finally:
        session.destroy()
        registration.leave()
        server.stop()
