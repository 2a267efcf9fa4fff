"""A session whose pool is reached over Ray Serve's own handle, with a version under trial in a pool beside it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest

from serving.processes import cluster_address
from serving.testing.models import doubler, save
from tests.e2e.http_client import Hangup
from tests.e2e.parts import REPLICA, parts, until
from tests.e2e.sluice_up import SluiceUp

pytestmark = pytest.mark.slow

STABLE = "/v2/models/doubler/infer"
TRIAL = "/v2/models/doubler/versions/2/infer"
DOUBLED = [2, 4, 6, 9]


def answer_of(session: SluiceUp, path: str) -> tuple[int, str, list[float]]:
    """Status, version (or what is wrong), and doubled numbers."""
    row = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4.5]}
    with session.connect() as connection:
        reply = connection.post(path, {"inputs": [row]})
    if reply.status != 200:
        return reply.status, reply.error, []
    return 200, reply.json()["model_version"], reply.json()["outputs"][0]["data"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    folder = tmp_path_factory.mktemp("handle")
    for version in (1, 2):
        save(folder / "models", "doubler", version, doubler())
    pool = {"transport": "serve_handle", "num_cpus": 0.5, "memory_mb": 256}
    routes = {"stable": 1, "canary": 2}
    config = folder / "sluice.yaml"
    config.write_text(json.dumps({"pools": {"default": pool}, "models": {"doubler": {"routes": routes}}}))
    session = SluiceUp("--models", str(folder / "models"), "--config", str(config), engine="ray")
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


def test_stable_and_trial_answer_over_rays_handle(session: SluiceUp) -> None:
    assert answer_of(session, STABLE) == (200, "1", DOUBLED)
    until(lambda: answer_of(session, TRIAL)[0] == 200, "the trial answers")
    assert answer_of(session, TRIAL) == (200, "2", DOUBLED)
    titles = sorted(" ".join(replica.cmdline()).split(":")[3] for replica in parts(session, REPLICA))
    assert titles == ["pool-default", "pool-default-trial"]
    # Nobody asks them over the stream, so they have no socket for it.
    assert {path.name for path in session.run_dir.glob("*.sock")} == {"control.sock", "features.sock"}


@pytest.mark.timeout(300)
def test_an_engine_that_is_started_again_is_joined_again(session: SluiceUp) -> None:
    before = cluster_address.read(session.run_dir)
    (engine,) = parts(session, "serving.processes.ray_engine")
    engine.kill()
    until(lambda: cluster_address.read(session.run_dir) not in ("", before), "the engine has another cluster", 120)
    until(lambda: _answers(session), "predictions work again", 120)


def _answers(session: SluiceUp) -> bool:
    # While the worker is replaced nobody accepts, or it hangs up.
    with contextlib.suppress(OSError, Hangup):
        return answer_of(session, STABLE) == (200, "1", DOUBLED)
    return False
