"""Control state is backed up and restored by the commands of docs/operations/recovery.md; a start needs no Redis."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from deployments.flights import sample
from serving.inference import VersionKey
from serving.pool.model_host import ModelHost
from serving.pool.registration import Registration
from serving.pool.wire_server import WireServer
from serving.runtime.loaded_model import LoadedModel, ModelSource
from serving.state.member import Member, MemberVersion
from tests.e2e.flights_rollout import answers, control, done
from tests.e2e.parts import until
from tests.e2e.sluice_up import ROOT, SluiceUp
from tests.integration.redis_process import RedisProcess, free_ports

MODEL = "flight-delay"
pytestmark = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="needs Debian's redis-server, with redis-cli")
SECRET = "0123456789abcdef0123456789abcdef"
VERSIONS = [VersionKey(MODEL, 1), VersionKey(MODEL, 2)]
SAID = (ROOT / "docs" / "operations" / "recovery.md").read_text().split("```sh\n")[1:]
BACK_UP, RESTORE, BACK_UP_FOLDER, RESTORE_FOLDER = (block.partition("```")[0] for block in SAID)
ROW = {"name": "input", "shape": [1, 20], "datatype": "FP32", "data": [0.5] * 20}
PLAN = {"steps": [{"weight": 20, "duration": "1h"}]}


def run(commands: str, folder: Path, **variables: str) -> None:
    """As a person does, in that folder."""
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-euc", commands], cwd=folder, env=path | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def replicas(url: str) -> Iterator[None]:
    """Two versions, served by somebody else than the session."""
    host = ModelHost(LoadedModel.open)
    host.load([ModelSource(key, sample.MODELS / key.model / str(key.version) / "model.onnx") for key in VERSIONS])
    server = WireServer(host, SECRET.encode(), ["tcp:127.0.0.1:0"])
    server.start()
    member = Member("one", server.addresses[0], versions=tuple(MemberVersion(*key, True, True) for key in VERSIONS))
    registration = Registration(url, "default", lambda: member)
    registration.start()
    try:
        yield
    finally:
        registration.leave()
        server.stop()


@contextmanager
def gateway(url: str, state_dir: Path) -> Iterator[SluiceUp]:
    """One that answers by those replicas."""
    more = {
        "SLUICE_POOL_SECRET": SECRET,
        "SLUICE_STATE__CONTROL_URL": url,
        "SLUICE_STATE__DIR": str(state_dir),
    }
    session = SluiceUp("--models", str(sample.MODELS), engine="external", **more)
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


def state(session: SluiceUp, client: redis.Redis) -> dict[str, Any]:
    """The table in force, every rollout, and all that was done in each."""
    api = control(session)
    table = client.get("sluice:table")
    assert isinstance(table, bytes)
    rollouts = api.get("/rollouts")["rollouts"]
    told = {one["id"]: api.get(f"/rollouts/{one['id']}/history")["entries"] for one in rollouts}
    return {"table": json.loads(table), "rollouts": rollouts, "audit": told}


def something_happens(session: SluiceUp) -> None:
    """A rollout that was aborted, a pin, and another rollout that has begun."""
    api = control(session)
    until(lambda: answers(api), "the control app answers")
    begun = {"canary": 1, "plan": PLAN, "sticky": False, "dry_run": False, "by": "ann"}
    first = api.post(f"/models/{MODEL}/rollouts", {}, begun)["id"]
    api.post(f"/rollouts/{first}:abort", {"by": "bob"})
    until(lambda: api.get(f"/rollouts/{first}")["over"], "it is over")
    api.post(f"/models/{MODEL}:pin", {"version": 1, "by": "ann"})
    api.post(f"/models/{MODEL}/rollouts", {}, {**begun, "canary": 2})


def something_else_happens(session: SluiceUp) -> None:
    """What the backup has not."""
    # The lease of a controller that has just ended runs out first.
    until(lambda: done(control(session), f"/models/{MODEL}:pin", {"version": 2, "by": "carl"}), "version 2 has all")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    (port,) = free_ports(1)
    one = RedisProcess("redis", tmp_path / "control", port)
    one.start()
    yield one
    one.close()


def test_table_rollouts_and_audit_are_equal_before_a_backup_and_after_it_was_restored(
    server: RedisProcess, tmp_path: Path
) -> None:
    where = {"CONTROL_HOST": "127.0.0.1", "CONTROL_PORT": str(server.port), "FOLDER": str(tmp_path / "restored")}
    url = f"redis://127.0.0.1:{server.port}"
    with replicas(url), gateway(url, tmp_path / "state") as session:
        something_happens(session)
        before = state(session, server.client())
        run(BACK_UP, tmp_path, **where)
        something_else_happens(session)
        assert state(session, server.client()) != before
    server.kill()
    (tmp_path / "restored").mkdir()
    shutil.move(tmp_path / "control.rdb", tmp_path / "restored")
    run(RESTORE, tmp_path, **where)
    try:
        with replicas(url), gateway(url, tmp_path / "empty") as session:
            until(lambda: answers(control(session)), "the control app answers")
            assert state(session, server.client()) == before
    finally:
        server.client().shutdown(nosave=True)


def test_the_folder_of_an_embedded_server_is_a_backup(tmp_path: Path) -> None:
    where = {"STATE_DIR": str(tmp_path / "state")}
    with embedded(tmp_path) as session:
        something_happens(session)
        before = state(session, own(session))
    run(BACK_UP_FOLDER, tmp_path, **where)
    with embedded(tmp_path) as session:
        something_else_happens(session)
    run(RESTORE_FOLDER, tmp_path, **where)
    with embedded(tmp_path) as session:
        after = state(session, own(session))
    assert (after["rollouts"], after["audit"]) == (before["rollouts"], before["audit"])
    # A session with an engine of its own puts the routes of its configuration above what it finds; its controller of
    # rollouts may have put those of the rollout above them by now.
    assert after["table"]["epoch"] > before["table"]["epoch"]


@contextmanager
def embedded(folder: Path) -> Iterator[SluiceUp]:
    """A session with a control state of its own, which outlives it."""
    where = {"SLUICE_STATE__DIR": str(folder / "state")}
    session = SluiceUp("--models", str(sample.MODELS), "--rollouts", engine="in-process", **where)
    try:
        session.wait_until_ready()
        until(lambda: answers(control(session)), "the control app answers")
        yield session
        session.close()
    finally:
        session.destroy()


def own(session: SluiceUp) -> redis.Redis:
    """Its control server."""
    return redis.Redis(unix_socket_path=str(session.run_dir / "control.sock"))


def test_a_gateway_starts_without_redis_with_the_last_table_and_the_last_members(
    server: RedisProcess, tmp_path: Path
) -> None:
    url = f"redis://127.0.0.1:{server.port}"
    with replicas(url):
        with gateway(url, tmp_path / "state") as session:
            assert answered_by(session) == "2"
            control(session).post(f"/models/{MODEL}:pin", {"version": 1, "by": "ann"})
            until(lambda: answered_by(session) == "1", "version 1 answers")
        server.kill()
        with gateway(url, tmp_path / "state") as session:
            assert answered_by(session) == "1"
        server.start()


def answered_by(session: SluiceUp) -> str:
    """The version that predicts by default."""
    with session.connect() as connection:
        reply = connection.post(f"/v2/models/{MODEL}/infer", {"inputs": [ROW]})
    assert reply.status == 200, reply.body
    return reply.headers["x-sluice-version"]
