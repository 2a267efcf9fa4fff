"""However `sluice up` ends, with Ray or without, nothing of it is left: no process, no socket, no folder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from serving.testing.load_client import Load, running
from tests.e2e.conftest import Start
from tests.e2e.doubling import LONG, patiently, save_models
from tests.e2e.parts import GCS, GUARDIAN, RAYLET, REPLICA, parts, touching, until
from tests.e2e.sluice_up import SluiceUp

END_WITHIN_S = 15.0
# Before it has begun at all, while it reads its code, while it plans and begins, and once it serves.
ASKED_AFTER_S = (0.0, 0.1, 0.3, 1.0)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return save_models(tmp_path)


# A start of Ray takes its time, so some of what is nearly the same is left to the long run.
ASKED = [("in-process", signal.SIGINT), ("in-process", signal.SIGTERM), ("ray", signal.SIGINT)]
KILLED_ONCE = [GUARDIAN, RAYLET]
if LONG:
    ASKED.append(("ray", signal.SIGTERM))
    KILLED_ONCE += [GCS, REPLICA]


@pytest.mark.parametrize(("engine", "how"), ASKED)
def test_a_session_that_is_asked_to_end_answers_what_it_has_and_leaves_nothing(
    models: Path, start: Start, engine: str, how: signal.Signals
) -> None:
    session = start("--models", models, engine=engine)
    with running(Load(session.port, patiently, most=5_000, for_s=30, callers=8)) as load:
        until(lambda: len(load.report.good) > 200, "the load is under way")
        asked_to_end_at = time.monotonic()
        assert session.stop(how) == 0
        report = load.stop()
    _nothing_is_left_of(session)
    assert report.wrong() == []
    assert report.hangs() == []
    # Whoever connects later may find no one; but who was connected is answered, and told to go.
    assert [one for one in report.failures if one.connected_at and one.connected_at < asked_to_end_at] == []


@pytest.mark.parametrize("engine", ["in-process", "ray"])
def test_a_killed_session_takes_everything_with_it(models: Path, start: Start, engine: str) -> None:
    session = start("--models", models, engine=engine)
    _killed(session)


@pytest.mark.parametrize("begun", KILLED_ONCE)
def test_a_session_that_is_killed_while_it_starts_leaves_nothing(models: Path, start: Start, begun: str) -> None:
    session = start("--models", models, engine="ray", ready=False)
    until(lambda: parts(session, begun), f"{begun} runs")
    _killed(session)


def test_a_session_that_is_asked_to_end_while_it_starts_leaves_nothing(models: Path, start: Start) -> None:
    session = start("--models", models, engine="ray", ready=False)
    until(lambda: parts(session, RAYLET), "Ray begins")
    session.stop(signal.SIGTERM)
    _nothing_is_left_of(session)


def test_a_session_that_is_asked_to_end_in_its_first_second_leaves_nothing(models: Path, start: Start) -> None:
    for after_s in ASKED_AFTER_S:
        session = start("--models", models, ready=False)
        time.sleep(after_s)
        # Until it has something to put in order, it ends as any process does.
        assert session.stop(signal.SIGTERM) in {0, -signal.SIGTERM}, session.log()
        _nothing_is_left_of(session)


def _killed(session: SluiceUp) -> None:
    session.look()
    os.kill(session.pid, signal.SIGKILL)
    session.process.wait()
    _nothing_is_left_of(session)


def _nothing_is_left_of(session: SluiceUp) -> None:
    assert session.remains(END_WITHIN_S) == []
    # Processes that changed both their name and their environment, and are nobody's children any more.
    assert touching(session.folder) == []
