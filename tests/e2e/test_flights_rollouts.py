"""The flights example's versions are rolled out under load: each comes to its end, whatever is killed meanwhile."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from serving.cli.failure import CommandFailed
from serving.state.rollout_store import RolloutStore
from serving.testing.load_client import Failure, Report, Span, running
from tests.e2e.doubling import PATIENT_LINES
from tests.e2e.flights_rollout import (
    BESIDE_OTHERS,
    Answers,
    Asking,
    Rollout,
    flights_session,
    give_all_to_version_1,
    refused_for_load,
)
from tests.e2e.parts import CONTROL, REPLICA, WORKER, parts, until
from tests.e2e.sluice_up import SluiceUp

log = logging.getLogger(__name__)

CONTROL_APP = "serving.processes.control_worker"
SLOW = 100.0
ERROR_OF_THE_MODEL, REFUSED = 500, 503
# A held controller's lease runs out after 5 s.
TAKEN_OVER_S = 15.0

_DIES_WITHIN_S = 0.5
KILLED = (WORKER, REPLICA, CONTROL_APP, CONTROL)


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
    asking = Asking(headers=PATIENT_LINES)
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
    refused = [one for one in report.failures if refused_for_load(one)]
    # Of the stable version's answers only such a refusal is an error.
    assert f"on the canary against {'' if refused else '0/'}" in seen["sentence"]
    assert [one for one in report.failures if one.status != ERROR_OF_THE_MODEL and one not in refused] == []
    assert last_at < decided_at + 3


@pytest.mark.timeout(300)
def test_whatever_is_killed_the_rollout_goes_on_with_the_weight_it_had(session: SluiceUp) -> None:
    asking = Asking(headers=PATIENT_LINES)
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
    began = time.monotonic()
    whole = len(parts(session, words))
    _kill(_one(session, words))
    until(lambda: len(parts(session, words)) == whole, f"{words} is there again")
    there = time.time()
    # Not by the canary alone, which has replicas of its own: its share of that time would be all.
    until(lambda: asking.answers.stable_since(there), "the stable version answers")
    since = asking.answers.stable_since(there) or there
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


def _allowed(failure: Failure, no_worker: Span, no_replica: Span) -> bool:
    """A connection of the killed worker, or a refusal while no replica lived."""
    if refused_for_load(failure):
        return True
    if failure.status is None:
        return failure.connected_at is not None and failure.connected_at <= no_worker[0] + _DIES_WITHIN_S
    return failure.status == REFUSED and no_replica[0] <= failure.ended_at and failure.asked_at <= no_replica[1]
