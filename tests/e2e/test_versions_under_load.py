"""Versions come and go under load, and callers of the other models notice nothing."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving.testing.load_client import Load, Question, running
from serving.testing.models import divides, doubler, mlp, save
from tests.e2e.conftest import Start
from tests.e2e.disturbance import Disturbances
from tests.e2e.doubling import LONG, patiently
from tests.e2e.parts import REPLICA, WORKER, parts, until
from tests.e2e.sluice_up import SluiceUp

log = logging.getLogger(__name__)

ROUNDS = 20 if LONG else 4
RATE = 200.0
ENGINE = "serving.processes.ray_engine"
QUIET_S = 3.0 if LONG else 0.2
# 105 MB, else 14: what is not given back is seen.
WIDE = 750_000 if LONG else 100_000
GROWTH_MB = 8.0
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def change(session: SluiceUp, order: str) -> dict[str, Any]:
    """One POST to the control API, with its token."""
    facts = session.registered()
    token = Path(str(facts["token_file"])).read_text().strip()
    url = f"http://127.0.0.1:{facts['control_port']}/api/v1/models/{order}"
    request = urllib.request.Request(url, method="POST", headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=90) as answer:
        done: dict[str, Any] = json.loads(answer.read())
        return done


def told(session: SluiceUp, what: str) -> dict[str, Any]:
    """One GET of the control API."""
    url = f"http://127.0.0.1:{session.registered()['control_port']}/api/v1/{what}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def memory_mb(session: SluiceUp, part: str) -> float:
    """Of all processes of this part."""
    return sum(psutil.Process(one.pid).memory_info().rss for one in parts(session, part)) / 1e6


def huge_mb(session: SluiceUp, part: str) -> float:
    """Of the same, what lies on huge pages."""
    kept = [Path(f"/proc/{one.pid}/smaps_rollup").read_text() for one in parts(session, part)]
    return sum(int(each.partition("AnonHugePages:")[2].split()[0]) for each in kept) / 1e3


def policies(process: psutil.Process) -> set[int]:
    """How its threads are scheduled."""
    found = set()
    for thread in process.threads():
        # One may have ended meanwhile.
        with contextlib.suppress(ProcessLookupError):
            found.add(os.sched_getscheduler(thread.id))
    return found


def to_version_2(number: int) -> Question:
    """The same question to a version that is about to leave."""
    asked = patiently(number)
    return Question("/v2/models/doubler/versions/2/infer", asked.body, asked.right, asked.headers)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("engine", "part"), [("in-process", WORKER), ("ray", REPLICA)])
def test_versions_come_and_go_under_load_and_no_other_request_fails(
    tmp_path: Path, start: Start, engine: str, part: str
) -> None:
    save(tmp_path, "doubler", 1, doubler())
    save(tmp_path, "divides", 1, divides())
    session = start("--models", tmp_path, engine=engine)
    save(tmp_path, "wide", 1, mlp(hidden=WIDE))
    replicas = {one.pid for one in parts(session, part)}
    load = Load(session.port, patiently, most=1_000_000, for_s=200, rate=RATE, callers=16)
    used, huge = [], 0.0
    with running(load) as client:
        until(lambda: len(client.report.good) > RATE, "the load is under way")
        first = memory_mb(session, part)
        loading = Disturbances(f"{engine}, loading", client.report)
        letting_go = Disturbances(f"{engine}, letting go", client.report)
        for _ in range(ROUNDS):
            before = memory_mb(session, part)
            with loading.during(QUIET_S):
                change(session, "wide:load?version=1")
            loaded, huge = memory_mb(session, part), max(huge, huge_mb(session, part))
            with letting_go.during(0.2):
                change(session, "wide:unload?force=true")
            # Nothing of it stays, from the first time on. A replica was seen to let go a moment after the answer.
            until(lambda: memory_mb(session, part) - first < GROWTH_MB, f"its memory goes back: {before}, {loaded}")
            used.append((before, loaded, memory_mb(session, part)))
        report = client.stop()
    log.info("%s: %s\n%s\n%s", engine, report, loading, letting_go)
    log.info("%s: MB before, loaded, let go: %s", engine, [tuple(round(mb) for mb in each) for each in used])
    assert report.failures == []
    # It lay on huge pages, where the system has any: a fraction of the time to open it and to let it go.
    assert huge > 10 or "[never]" in HUGE_PAGES.read_text(), huge
    # Whoever loaded yielded to those who serve, and nobody who serves does.
    assert set().union(*(policies(one) for one in parts(session, part))) == {os.SCHED_OTHER}
    if engine == "ray":
        (driver,) = parts(session, ENGINE)
        assert os.sched_getscheduler(driver.pid) == os.SCHED_BATCH
    # Nothing was replaced for it.
    assert {one.pid for one in parts(session, part)} == replicas


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("engine", ["in-process", "ray"])
def test_requests_that_a_version_had_accepted_are_answered_when_it_leaves(
    tmp_path: Path, start: Start, engine: str
) -> None:
    for version in (1, 2):
        save(tmp_path, "doubler", version, doubler())
    # The lower one answers by default, so the higher one may leave.
    config = tmp_path / "sluice.yaml"
    config.write_text(json.dumps({"models": {"doubler": {"routes": {"stable": 1}}}}))
    session = start("--models", tmp_path, "--config", config, engine=engine)
    load = partial(Load, session.port, most=1_000_000, for_s=200, rate=RATE, callers=16)
    with running(load(patiently)) as others, running(load(to_version_2)) as leaving:
        until(lambda: min(len(one.report.good) for one in (others, leaving)) > RATE, "the load is under way")
        change(session, "doubler:unload?version=2")
        asked = leaving.report.asked
        until(lambda: leaving.report.asked > asked + RATE / 2, "requests for it are refused")
        change(session, "doubler:load?version=2")
        back = len(leaving.report.good)
        until(lambda: len(leaving.report.good) > back + RATE / 2, "requests for it are answered again")
        left, kept = leaving.stop(), others.stop()
    assert kept.failures == []
    # Once it has left the table it is unknown; nothing that was accepted before is lost.
    assert set(left.by_status()) == {"404"}, str(left)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_engine_that_is_started_again_hosts_what_was_loaded_and_not_what_was_let_go(
    tmp_path: Path, start: Start
) -> None:
    save(tmp_path, "doubler", 1, doubler())
    save(tmp_path, "divides", 1, divides())
    session = start("--models", tmp_path, engine="ray")
    save(tmp_path, "doubler", 2, doubler())
    change(session, "doubler:load?version=2")
    change(session, "divides:unload?force=true")
    (engine,) = parts(session, ENGINE)
    engine.kill()
    session.wait_for_log("the engine was started again")
    session.wait_for_log("the engine is ready", within_s=120)
    with session.connect() as connection:
        ready = "/v2/models/doubler/versions/2/ready"
        until(lambda: connection.get(ready).status == 200, "the version is there again", within_s=120)
        assert connection.get("/v2/models/divides").status == 404
    hosted = {one["name"]: one["versions"] for one in told(session, "pools")["pools"]}
    assert hosted["default"] == ["doubler/1", "doubler/2"]
