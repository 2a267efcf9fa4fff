"""The canary of a rollout has replicas of its own: they come before its first request and go after its last one."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from onnx import TensorProto

from serving.testing.load_client import Load, running
from serving.testing.models import echo, save
from tests.e2e.doubling import LONG
from tests.e2e.flights_rollout import BESIDE_OTHERS
from tests.e2e.parts import REPLICA, parts, until
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.test_rollouts import NOT_PROMOTED, question, sluice, status
from tests.e2e.test_versions_under_load import told

log = logging.getLogger(__name__)

CANARY = "ray::ServeReplica:pool-echoes-canary"
# No guardrail: replicas that start again and again slow both versions, for which it rightly pauses.
STEP = {"steps": [{"weight": 50, "duration": "10s", "max_duration": "5m"}], **BESIDE_OTHERS, "guardrail": False}
PLANS = {
    "shadow": {**STEP, "shadow": {"percent": 50, "duration": "3m", "max_duration": "5m"}},
    "own": STEP,
    "shared": {**STEP, "isolation": "shared"},
    "large": {**STEP, "isolation": {"cpus": 64}},
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    """`echoes` in two versions that are alike, in one replica; and a plan of each kind."""
    folder = tmp_path_factory.mktemp("replicas")
    for version in (1, 2):
        save(folder / "models", "echoes", version, echo(TensorProto.FLOAT, 1))
    pool = {"min_replicas": 1, "max_replicas": 1, "num_cpus": 0.5, "memory_mb": 256}
    config = folder / "sluice.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({"pools": {"default": pool}, "models": {"echoes": {"routes": {"stable": 1}}}}))
    session = SluiceUp("--models", str(folder / "models"), "--config", str(config), engine="ray")
    for name, plan in PLANS.items():
        (session.folder / f"{name}.yaml").write_text(json.dumps(plan))
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


def begin(session: SluiceUp, plan: str, code: int = 0) -> str:
    path = str(session.folder / f"{plan}.yaml")
    return sluice(session, "rollout", "start", "echoes", "2", "--plan", path, code=code)


def load(session: SluiceUp) -> Load:
    return Load(session.port, question, most=1_000_000, for_s=200, rate=100.0)


def homes(session: SluiceUp) -> dict[int, str]:
    """The pool of each version."""
    (model,) = told(session, "models")["models"]
    return {one["version"]: one["pool"] for one in model["versions"]}


def gone(session: SluiceUp) -> bool:
    return not parts(session, CANARY) and len(parts(session, REPLICA)) == 1


@pytest.mark.timeout(240)
def test_with_its_own_replicas_killed_stable_answers_and_the_outcome_counts_against_the_canary(
    session: SluiceUp,
) -> None:
    with running(load(session)) as client:
        begin(session, "own")
        assert status(session)["runs"] == "in pool echoes-canary, 1 replica of its own"
        until(lambda: status(session)["phase"] == "step", "the step has begun")
        assert homes(session) == {1: "default", 2: "echoes-canary"}
        assert len(parts(session, REPLICA)) == 2
        # Ray starts another one each time: nobody of its pool lives for long.
        while status(session)["phase"] == "step":
            for replica in parts(session, CANARY):
                with contextlib.suppress(psutil.NoSuchProcess):
                    replica.kill()
        seen = status(session)
        until(lambda: gone(session), "its replicas go with the rollout")
        report = client.report
    assert seen["phase"] == "rolled_back", seen
    assert seen["reason"] in ("hard_stop", "errors")
    assert seen["requests"]["canary"] > 0
    # None is lost: what died with a replica is asked of another version, or of the next replica.
    assert report.failures == [], report
    assert homes(session) == {1: "default", 2: "default"}


@pytest.mark.timeout(240)
def test_a_promoted_version_runs_in_the_stable_pool_before_the_canarys_goes_and_no_request_is_lost(
    session: SluiceUp,
) -> None:
    with running(load(session)) as client:
        begin(session, "own")
        until(lambda: status(session)["phase"] == "step", "the step has begun")
        assert len(parts(session, CANARY)) == 1
        sluice(session, "rollout", "promote", "echoes", "--full")
        sluice(session, "rollout", "wait", "echoes", "--for", "promoted", "--timeout", "30")
        until(lambda: homes(session) == {1: "default", 2: "default"}, "it is asked for at home")
        until(lambda: gone(session), "its own replicas are gone")
        asked = len(client.report.good)
        until(lambda: len(client.report.good) > asked + 100, "and all are answered")
        report = client.report
    assert report.failures == [], report
    sluice(session, "models", "pin", "echoes", "1")


def hang(replica: psutil.Process) -> None:
    replica.suspend()


def crash(replica: psutil.Process) -> None:
    replica.kill()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "harm", [hang, pytest.param(crash, marks=pytest.mark.skipif(not LONG, reason="SLUICE_LONG=1 runs it"))]
)
def test_a_shadow_in_replicas_of_its_own_that_hangs_or_crashes_ends_its_rollout_and_touches_no_answer(
    session: SluiceUp, harm: Callable[[psutil.Process], None]
) -> None:
    with running(load(session)) as client:
        began = time.monotonic()
        begin(session, "shadow")
        until(lambda: status(session)["phase"] == "shadow", "the stage has begun")
        assert homes(session) == {1: "default", 2: "echoes-canary"}
        until(lambda: status(session)["shadow"]["copies"]["ok"] > 100, "pairs are compared")
        harmed = time.monotonic()
        while (seen := status(session))["phase"] == "shadow":
            for replica in parts(session, CANARY):
                with contextlib.suppress(psutil.NoSuchProcess):
                    harm(replica)
        ended = time.monotonic()
        for replica in parts(session, CANARY):
            with contextlib.suppress(psutil.NoSuchProcess):
                replica.resume()
        until(lambda: gone(session), "its replicas go with the rollout")
        report = client.report
    log.info(
        "%s: p50, p99 before %s and during %s s",
        harm.__name__,
        report.percentiles_s([(began, harmed)], 0.5, 0.99),
        report.percentiles_s([(harmed, ended)], 0.5, 0.99),
    )
    assert (seen["phase"], seen["weight_percent"], seen["requests"]["canary"]) == ("rolled_back", 0, 0), seen
    assert seen["reason"] in ("shadow_errors", "hard_stop")
    assert report.failures == [], report


@pytest.mark.timeout(120)
def test_where_there_is_no_room_it_is_refused_with_what_to_do_and_shared_replicas_need_none(session: SluiceUp) -> None:
    refused = begin(session, "large", code=1)
    assert "there is no room for pool 'echoes-canary': beside all that runs it asks for 64 processors" in refused
    assert "what holds processors: default with 0.5; end another rollout" in refused
    begin(session, "shared")
    assert status(session)["runs"] == "in pool default, in the same replicas as the stable version (isolation: shared)"
    assert "the canary runs in pool default" in sluice(session, "rollout", "status", "echoes")
    assert gone(session)
    sluice(session, "rollout", "abort", "echoes")
    sluice(session, "rollout", "wait", "echoes", code=NOT_PROMOTED)
