"""A version whose pool did not run when the session began is loaded all the same."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path

import pytest

from serving.testing.models import doubler, save
from tests.e2e.conftest import Start
from tests.e2e.doubling import doubling
from tests.e2e.http_client import PATIENT
from tests.e2e.parts import REPLICA, WORKER, parts, until
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.test_versions_under_load import ENGINE, change, told

SMALL = {"num_cpus": 0.5, "memory_mb": 256}
# More than any machine has: it is never started.
HUGE = {"num_cpus": 0.5, "memory_mb": 1 << 22}
# The version under trial is not there when the session begins, and so is neither its pool nor `default`.
MODEL = {"pool": "small", "routes": {"stable": 1, "canary": 2}}


def late_session(folder: Path, start: Start, engine: str) -> SluiceUp:
    save(folder, "doubler", 1, doubler())
    config = folder / "sluice.yaml"
    config.write_text(json.dumps({"pools": {"small": SMALL, "default": HUGE}, "models": {"doubler": MODEL}}))
    session = start("--models", folder, "--config", config, engine=engine)
    save(folder, "doubler", 2, doubler())
    save(folder, "other", 1, doubler())
    return session


def answers(session: SluiceUp, version: int) -> bool:
    asked = doubling(3)
    with session.connect() as connection:
        answer = connection.request("POST", f"/v2/models/doubler/versions/{version}/infer", asked.body, PATIENT)
        return answer.status == 200 and asked.right(answer.body)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_pool_is_started_for_a_version_and_ends_with_it(tmp_path: Path, start: Start) -> None:
    session = late_session(tmp_path, start, "ray")
    (replica,) = [one.pid for one in parts(session, REPLICA)]
    assert change(session, "doubler:load?version=2")["changed"]
    assert answers(session, 2)
    assert {one["name"]: one["versions"] for one in told(session, "pools")["pools"]} == {
        "small": ["doubler/1"],
        "small-trial": ["doubler/2"],
    }
    assert len(parts(session, REPLICA)) == 2
    for worker in parts(session, WORKER):
        worker.kill()
    until(lambda: told(session, "health")["workers"] == 1, "a worker that was started later knows the pool")
    until(lambda: answers(session, 2), "and asks it")
    change(session, "doubler:unload?version=2")
    until(lambda: [one.pid for one in parts(session, REPLICA)] == [replica], "its replica ends, and no other")
    assert change(session, "doubler:load?version=2")["changed"]
    (engine,) = parts(session, ENGINE)
    engine.kill()
    session.wait_for_log("the engine was started again")
    # A whole Ray and two replicas start for that, and either of them may be there first.
    until(lambda: answers(session, 2), "an engine that is started again starts the pool", within_s=120)
    until(lambda: answers(session, 1), "and the one that it had from the beginning")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_pool_that_has_no_room_is_refused_with_what_it_asks_for_and_nothing_changes(
    tmp_path: Path, start: Start
) -> None:
    session = late_session(tmp_path, start, "ray")
    before = told(session, "pools")
    with pytest.raises(urllib.error.HTTPError) as refused:
        change(session, "other:load?version=1")
    with refused.value as answer:
        assert answer.code == 422
        error = json.loads(answer.read())["error"]
    assert error.startswith("there is no room for pool 'default': beside all that runs it asks for 0.5 processors")
    assert "restart the session" in error
    assert [one["versions"] for one in told(session, "pools")["pools"]] == [one["versions"] for one in before["pools"]]
    assert len(parts(session, REPLICA)) == 1
    assert answers(session, 1)


def test_without_ray_the_gateways_are_every_pool(tmp_path: Path, start: Start) -> None:
    session = late_session(tmp_path, start, "in-process")
    assert change(session, "doubler:load?version=2")["changed"]
    assert change(session, "other:load?version=1")["changed"]
    assert answers(session, 2)
