"""The shipped rule judges real processes on a machine of their own: versions come to the ends that are known."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from serving.testing.load_client import running
from tests.e2e.doubling import LONG
from tests.e2e.flights_rollout import Asking, Rollout, flights_session, give_all_to_version_1, refused_for_load
from tests.e2e.parts import until
from tests.e2e.sluice_up import SluiceUp

log = logging.getLogger(__name__)

SHORT = [{"weight": 50, "duration": "10s", "max_duration": "4m"}]
STEPS = [{"weight": 20, "duration": "15s", "max_duration": "2m"}, *SHORT]
FAST = 300.0
# Twenty with SLUICE_LONG=1, ten minutes of a machine that does nothing else.
IDENTICAL = 20 if LONG else 2

only_long = pytest.mark.skipif(not LONG, reason="SLUICE_LONG=1 rolls out every version")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    with flights_session(tmp_path_factory.mktemp("flights")) as session:
        yield session


@pytest.fixture(autouse=True)
def back_to_version_1(session: SluiceUp) -> Iterator[None]:
    yield
    if session.process.poll() is None:
        give_all_to_version_1(session)


@pytest.mark.timeout(120 + 60 * IDENTICAL)
def test_a_version_like_the_one_that_answers_is_promoted_again_and_again(session: SluiceUp) -> None:
    asking = Asking()
    with running(asking.load(session, FAST)) as load:
        for number in range(IDENTICAL):
            rollout = Rollout.begin(session, 6, SHORT)
            began = time.monotonic()
            rollout.until_phase("promoted")
            log.info("rollout %d was promoted after %.0f s", number + 1, time.monotonic() - began)
            until(lambda: asking.answers.share_since(time.time() - 0.5)[0] > 0, "the promoted version answers")
            give_all_to_version_1(session)
        report = load.stop()
    assert [one for one in report.failures if not refused_for_load(one)] == []


@only_long
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("version", "plan", "phase", "reason"),
    [
        (2, {"expect_drift": True, "gates": {"latency": False}}, "promoted", "step_passed"),
        (3, {}, "rolled_back", "errors"),
        (4, {}, "rolled_back", "latency"),
        (5, {}, "paused", "scores"),
    ],
)
def test_each_version_comes_to_the_end_that_is_known_of_it(
    session: SluiceUp, version: int, plan: dict[str, Any], phase: str, reason: str
) -> None:
    asking = Asking(faulty=True)
    with running(asking.load(session, FAST)):
        rollout = Rollout.begin(session, version, STEPS, **plan)
        seen = rollout.until_phase(phase)
        log.info("version %d is %s: %s", version, phase, seen["sentence"])
        assert seen["reason"] == reason
        if phase == "paused":
            rollout.order("abort")
