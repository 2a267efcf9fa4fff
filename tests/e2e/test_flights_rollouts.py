"""The flights example's versions are rolled out under load: each comes to its end, whatever is killed meanwhile."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from serving.cli.failure import CommandFailed
from serving.state.rollout_store import RolloutStore
from serving.testing.load_client import Failure, Report, Span, running
from tests.e2e.doubling import LONG
from tests.e2e.flights_rollout import (
    BESIDE_OTHERS,
    Answers,
    Asking,
    Rollout,
    flights_session,
    give_all_to_version_1,
)
from tests.e2e.parts import CONTROL, REPLICA, WORKER, parts, until
from tests.e2e.sluice_up import SluiceUp

log = logging.getLogger(__name__)

CONTROL_APP = "serving.processes.control_worker"
SHORT = [{"weight": 50, "duration": "10s", "max_duration": "4m"}]
STEPS = [{"weight": 20, "duration": "15s", "max_duration": "2m"}, *SHORT]
FAST, SLOW = 300.0, 100.0
ERROR_OF_THE_MODEL, REFUSED = 500, 503
# By hand 20 of them: benchmarks/canary.
IDENTICAL = 20 if LONG else 2
# A held controller's lease runs out after 5 s.
TAKEN_OVER_S = 15.0

_DIES_WITHIN_S = 0.5
KILLED = (WORKER, REPLICA, CONTROL_APP, CONTROL)

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


@pytest.mark.timeout(240)
def test_a_fault_during_a_step_is_rolled_back_and_no_worker_asks_the_canary_any_more(session: SluiceUp) -> None:
    asking = Asking()
    with running(asking.load(session, SLOW)) as load:
        rollout = Rollout.begin(session, 3, [{"weight": 10, "duration": "5m"}], **BESIDE_OTHERS)
        rollout.until_phase("step")
        until(lambda: rollout.seen()["requests"]["canary"] > 30, "the canary has been healthy for a while")
        asking.faulty, injected_at = True, time.time()
        seen = rollout.until_phase("rolled_back")
        time.sleep(3)
        report = load.stop()
    decided_at = next(entry["at_s"] for entry in rollout.history() if entry["what"] == "rolled_back")
    last_at = max(asking.answers.canary + asking.answers.errors)
    log.info(
        "verdict %.1f s after the fault, last canary answer %.2f s later",
        decided_at - injected_at,
        last_at - decided_at,
    )
    assert (seen["reason"], seen["weight_percent"]) == ("errors", 0)
    refused = [one for one in report.failures if _refused_for_load(one)]
    # Of the stable version's answers only such a refusal is an error.
    assert f"on the canary against {'' if refused else '0/'}" in seen["sentence"]
    assert [one for one in report.failures if one.status != ERROR_OF_THE_MODEL and one not in refused] == []
    assert last_at < decided_at + 3


@pytest.mark.timeout(120 + 60 * IDENTICAL)
def test_a_version_like_the_one_that_answers_is_promoted_again_and_again(session: SluiceUp) -> None:
    asking = Asking()
    with running(asking.load(session, FAST)) as load:
        for number in range(IDENTICAL):
            rollout = Rollout.begin(session, 6, SHORT, **BESIDE_OTHERS)
            began = time.monotonic()
            rollout.until_phase("promoted")
            log.info("rollout %d was promoted after %.0f s", number + 1, time.monotonic() - began)
            until(lambda: asking.answers.share_since(time.time() - 0.5)[0] > 0, "the promoted version answers")
            give_all_to_version_1(session)
        report = load.stop()
    assert [one for one in report.failures if not _refused_for_load(one)] == []


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


@pytest.mark.timeout(300)
def test_whatever_is_killed_the_rollout_goes_on_with_the_weight_it_had(session: SluiceUp) -> None:
    asking = Asking()
    with running(asking.load(session, SLOW)) as load:
        rollout = Rollout.begin(session, 6, [{"weight": 30, "duration": "1h"}], **BESIDE_OTHERS)
        rollout.until_phase("step")
        outages = {words: _outage(session, words, rollout, asking, load.report) for words in KILLED}
        _another_controller_takes_over_and_gives_back(session, rollout)
        assert [entry["what"] for entry in rollout.history()] == ["start", "begun"]
        until(lambda: rollout.obeys("abort"), "it has its office again", TAKEN_OVER_S)
        report = load.stop()
    assert report.hangs() == []
    assert report.wrong() == []
    assert [one for one in report.failures if not _allowed(one, outages[WORKER], outages[REPLICA])] == [], report


def _outage(session: SluiceUp, words: str, rollout: Rollout, asking: Asking, report: Report) -> Span:
    """Kill one of them; from then on until flights are answered by all of the session again."""
    began, since = time.monotonic(), time.time()
    whole = len(parts(session, words))
    _kill(_one(session, words))
    until(lambda: len(parts(session, words)) == whole, f"{words} is there again")
    until(lambda: report.good_since(time.monotonic() - 0.2), "flights are answered")
    ended = time.monotonic()
    _goes_on(rollout, asking.answers, since)
    log.info("%s killed: there again after %.1f s", words, ended - began)
    return began, ended


def _goes_on(rollout: Rollout, answers: Answers, since: float) -> None:
    """Its weight is what it was, in words and in what is answered, and it learns from that."""
    before = rollout.seen()["requests"]["canary"]
    until(lambda: rollout.seen()["requests"]["canary"] > before + 50, "it learns of requests again")
    seen = rollout.seen()
    assert (seen["phase"], seen["step"], seen["weight_percent"]) == ("step", 0, 30), seen
    canary, both = answers.share_since(since)
    # Six standard deviations: each caller is a coin of its own.
    assert canary < 0.3 * both + 6 * math.sqrt(0.21 * both), f"{canary} of {both}"
    assert canary > 0.3 * both - 6 * math.sqrt(0.21 * both), f"{canary} of {both}"


def _another_controller_takes_over_and_gives_back(session: SluiceUp, rollout: Rollout) -> None:
    """While the session's own stands still; it then finds that it was replaced, and does nothing until it may."""
    store = RolloutStore(f"unix://{session.run_dir}/control.sock")
    (app,) = parts(session, CONTROL_APP)
    app.send_signal(signal.SIGSTOP)
    try:
        until(lambda: store.acquire("a test"), "the lease of the one that stands still runs out", TAKEN_OVER_S)
    finally:
        app.send_signal(signal.SIGCONT)
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        assert store.acquire("a test")
        with pytest.raises(CommandFailed, match="another control app"):
            rollout.order("pause")
    seen = rollout.seen()
    assert (seen["phase"], seen["weight_percent"]) == ("step", 30)


def _one(session: SluiceUp, words: str) -> psutil.Process:
    """Any of them; of replicas one that has the version that answers."""
    found = parts(session, words)
    return next(one for one in found if "canary" not in " ".join(one.cmdline()))


def _kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def _refused_for_load(failure: Failure) -> bool:
    """Said at once, where the machine has other things to do: nothing that a rollout has a part in."""
    return failure.status == REFUSED and "is busy" in failure.text


def _allowed(failure: Failure, no_worker: Span, no_replica: Span) -> bool:
    """A connection of the killed worker, or a refusal while no replica lived."""
    if _refused_for_load(failure):
        return True
    if failure.status is None:
        return failure.connected_at is not None and failure.connected_at <= no_worker[0] + _DIES_WITHIN_S
    return failure.status == REFUSED and no_replica[0] <= failure.ended_at and failure.asked_at <= no_replica[1]
