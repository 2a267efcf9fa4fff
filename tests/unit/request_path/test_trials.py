"""What a trial counts: of whom, for which arm, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from struct import pack

import pytest

from serving.errors import BadRequest, DeadlineExceeded
from serving.inference import Hosted, Outputs, Request, Tensor, TensorSpec, VersionKey
from serving.request_path import trials as counting
from serving.request_path.judged import Judged
from serving.request_path.tallies import Tally, Took
from serving.request_path.trials import CANARY, Trials, failed
from serving.routing.table import Route, RouteTable, Served, Split, Trial
from serving.testing.backend import KEY, SIGNATURE, EchoBackend, row_of
from tests.unit.request_path.conftest import Bench, Caller

SECOND = VersionKey(KEY.model, 2)
TRIAL = Trial("r-1", 2, 0, 5_000, sticky=False, began_s=0.0, count_from_s=0.0, latency_bounds_us=(1_000, 10_000))
SCORED = replace(TRIAL, score_output="y", score_index=1, score_edges=(0.25, 0.5))


def table_of(trial: Trial | None, epoch: int = 2) -> RouteTable:
    splits = (Split("stable", 1, 5_000), Split(CANARY, 2, 5_000))
    route = Route(KEY.model, "salt", splits, (Served(1, "pool"), Served(2, "pool")), trial)
    return RouteTable(epoch, {KEY.model: route})


def trials_of(trial: Trial, now_s: float = 100.0) -> Trials:
    trials = Trials(lambda: now_s)
    trials.adopt(table_of(trial))
    return trials


def request_of(key: bytes | None = None) -> Request:
    request = Request(KEY.model, [], Caller(), 0.0)
    request.key = key
    return request


def assigned(trials: Trials, variant: str, key: bytes | None = None) -> Request:
    request = request_of(key)
    trials.assign(request, variant)
    return request


def outputs_of(*scores: float) -> Outputs:
    data = b"".join(pack("<2f", 0.0, score) for score in scores)
    return Outputs((Tensor("y", "FP32", (len(scores), 2), data),))


def answered(
    answers: list[tuple[Request, int, Sequence[Tensor]]],
    outputs: Outputs,
    run_s: float,
    landed_at: float = 0.0,
    rows: int = 1,
    *,
    leads: bool = True,
) -> None:
    judged = Judged()
    for request, row, inputs in answers:
        judged.add(request, row, inputs)
    counting.answered(judged, outputs, Took(run_s, landed_at, rows, leads))


def arms(trials: Trials) -> dict[bool, Tally]:
    return {tally.canary: tally for tally in trials.take()}


def firsts(tally: Tally) -> list[tuple[str, str]]:
    return sorted({(first.seen, first.event) for first in tally.firsts})


def test_answers_are_counted_for_the_arm_by_latency_and_score() -> None:
    trials = trials_of(SCORED)
    mine = [assigned(trials, CANARY) for _ in range(3)]
    answered([(request, row, ()) for row, request in enumerate(mine)], outputs_of(0.1, 0.3, 0.5), 0.005, rows=3)
    answered([(assigned(trials, "stable"), 0, ())], outputs_of(0.9), 0.02)
    found = arms(trials)
    canary, stable = found[True], found[False]
    assert (canary.requests, stable.requests) == (3, 1)
    assert canary.events == {"split": 3, "scores.0": 1, "scores.1": 1, "scores.2": 1}
    assert stable.events == {"split": 1, "scores.2": 1}
    # Three answers of one run are slow together.
    assert canary.runs == {"ran.1": (1, 1, 1), "slow.0.1": (1, 1, 1)}
    assert stable.runs == {"ran.0": (1, 1, 1), "slow.0.0": (1, 1, 1), "slow.1.0": (1, 1, 1)}


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 0), (2, 1), (3, 1), (4, 2), (7, 2), (8, 3), (16, 4), (31, 4), (32, 5), (64, 5), (5_000, 5)]
)
def test_runs_are_counted_with_those_of_about_as_many_rows(rows: int, size: int) -> None:
    trials = trials_of(TRIAL)
    answered([(assigned(trials, CANARY), 0, ())], outputs_of(0.1), 0.0, rows=rows)
    assert arms(trials)[True].runs == {f"ran.{size}": (1, 1, 1)}


def test_of_the_runs_that_begin_within_a_turn_the_first_is_evidence_however_long_it_takes() -> None:
    trials = trials_of(TRIAL)
    request = assigned(trials, CANARY)
    assert [counting.leads(request, at_s) for at_s in (7.1, 7.4, 7.5, 7.9, 11.0, 10.0)] == [
        True,
        False,
        True,
        False,
        True,
        False,
    ]
    assert counting.leads(assigned(trials, "stable"), 7.5)
    assert not counting.leads(request_of(), 99.0)


def test_a_key_beyond_the_sample_leaves_the_turn_to_the_next_run() -> None:
    keys = [b"key-%d" % number for number in range(64)]
    trial = replace(TRIAL, sticky=True, key_sample=1 << 30)
    trials = trials_of(trial)
    led = [key for key in keys if counting.leads(assigned(trials_of(trial), CANARY, key), 7.1)]
    sampled = {key for key in keys if assigned(alone := trials_of(trial), CANARY, key).judged and arms(alone)}
    assert set(led) == sampled
    assert 0 < len(led) < len(keys)
    beyond = next(key for key in keys if key not in sampled)
    turns = [counting.leads(assigned(trials, CANARY, key), 7.1) for key in (beyond, led[0], led[0])]
    assert turns == [False, True, False]


def test_runs_that_are_no_evidence_are_counted_for_the_proof_of_the_step_and_for_the_whole_model() -> None:
    trials = trials_of(TRIAL)
    for leads in (True, False, False):
        answered([(assigned(trials, CANARY), 0, ())], outputs_of(0.1), 0.005, leads=leads)
    assert arms(trials)[True].runs == {"ran.0": (1, 3, 3), "slow.0.0": (1, 3, 3)}


def test_what_was_taken_is_not_taken_again() -> None:
    trials = trials_of(TRIAL)
    answered([(assigned(trials, CANARY), 0, ())], outputs_of(0.1), 0.0)
    assert len(arms(trials)) == 1
    assert arms(trials) == {}


def test_a_bound_is_passed_by_what_takes_longer_and_not_by_what_takes_just_as_long() -> None:
    trials = trials_of(TRIAL)
    answered([(assigned(trials, "stable"), 0, ())], outputs_of(0.1), 0.001)
    tally = arms(trials)[False]
    assert (tally.events, tally.runs) == ({"split": 1}, {"ran.0": (1, 1, 1)})


def test_a_canary_may_take_a_moment_longer_than_the_stable_version_since_its_own_replicas_are_colder() -> None:
    trials = trials_of(TRIAL)
    for variant in (CANARY, "stable"):
        for run_s in (0.00115, 0.0015):
            answered([(assigned(trials, variant), 0, ())], outputs_of(0.1), run_s)
    found = arms(trials)
    assert found[True].runs == {"ran.0": (2, 2, 2), "slow.0.0": (1, 1, 1)}
    assert found[False].runs == {"ran.0": (2, 2, 2), "slow.0.0": (2, 2, 2)}


def test_what_took_longer_in_all_than_the_goal_is_told_however_fast_it_ran_and_nothing_where_there_is_no_goal() -> None:
    trials, without = trials_of(replace(TRIAL, goal_us=20_000)), trials_of(TRIAL)
    for of in (trials, without):
        for landed_at in (0.02, 0.0201, 3.0):
            answered([(assigned(of, "stable"), 0, ())], outputs_of(0.1), 0.0001, landed_at)
    assert arms(trials)[False].events == {"split": 3, "late_runs": 2}
    assert arms(without)[False].events == {"split": 3}


def test_a_run_is_late_by_the_oldest_request_of_its_batch_and_late_once() -> None:
    trials = trials_of(replace(TRIAL, goal_us=20_000))
    young, old, older = (assigned(trials, "stable") for _ in range(3))
    young.received_at, old.received_at, older.received_at = 0.99, 0.5, 0.4
    answered([(young, 0, ()), (old, 1, ()), (older, 2, ())], outputs_of(0.1, 0.1, 0.1), 0.0001, 1.0, rows=3)
    assert arms(trials)[False].events == {"split": 3, "late_runs": 1}


def test_errors_of_a_version_are_counted_and_those_of_callers_are_not() -> None:
    trials = trials_of(TRIAL)
    failed(assigned(trials, CANARY), DeadlineExceeded("late"))
    failed(assigned(trials, CANARY), BadRequest("wrong"))
    tally = arms(trials)[True]
    assert tally.requests == 1
    assert tally.events == {"split": 2, "errors": 1}


def test_degraded_requests_and_outputs_that_are_no_numbers_are_told() -> None:
    trials = trials_of(TRIAL)
    poor, bad, good = (assigned(trials, CANARY) for _ in range(3))
    poor.degraded = "plane=not_found"
    answered([(poor, 0, ()), (bad, 1, ()), (good, 2, ())], outputs_of(0.1, float("nan"), 0.2), 0.0)
    events = arms(trials)[True].events
    assert (events["features_missing"], events["outputs_invalid"]) == (1, 1)


def test_nothing_is_counted_before_the_warm_up_is_over_for_either_arm() -> None:
    trials = trials_of(replace(TRIAL, count_from_s=200.0), now_s=199.0)
    for variant in (CANARY, "stable"):
        assert assigned(trials, variant).judged is None
    assert arms(trials) == {}


def test_a_request_that_is_assigned_again_is_judged_no_more() -> None:
    trials = trials_of(TRIAL)
    request = assigned(trials, CANARY)
    trials.assign(request, "stable")
    assert request.judged is None


def test_a_key_is_told_once_for_each_kind_and_each_bound() -> None:
    trials = trials_of(replace(SCORED, sticky=True))
    for run_s in (0.005, 0.005, 0.02):
        answered([(assigned(trials, CANARY, b"N14228"), 0, ())], outputs_of(0.3), run_s)
    tally = arms(trials)[True]
    assert tally.requests == 3
    assert firsts(tally) == [
        ("keys", "keys"),
        ("scores", "scores.1"),
        ("slow.0", "slow.0.0"),
        ("slow.1", "slow.1.0"),
        ("split", "split"),
    ]
    assert len(tally.firsts) == 5


def test_the_first_score_of_a_key_is_its_only_one() -> None:
    trials = trials_of(replace(SCORED, sticky=True))
    for score in (0.3, 0.9):
        answered([(assigned(trials, CANARY, b"N14228"), 0, ())], outputs_of(score), 0.0)
    assert [first.event for first in arms(trials)[True].firsts if first.seen == "scores"] == ["scores.1"]


def test_without_a_key_nobody_is_judged_where_keys_are() -> None:
    trials = trials_of(replace(TRIAL, sticky=True))
    assert assigned(trials, CANARY).judged is None


def test_a_sample_of_keys_is_the_same_in_every_worker_and_about_as_large_as_it_should_be() -> None:
    trial = replace(TRIAL, sticky=True, key_sample=1 << 30)
    both = [trials_of(trial), trials_of(trial)]
    keys = [b"key-%d" % number for number in range(4_000)]
    for trials in both:
        assert all(assigned(trials, CANARY, key).judged is not None for key in keys)
    one, other = (arms(trials)[True] for trials in both)
    assert one == other
    # Four standard deviations around a quarter.
    assert 890 < one.events["split"] == len(one.firsts) < 1_110


def test_beyond_the_sample_of_keys_what_few_of_them_have_is_told_of_each() -> None:
    trials = trials_of(replace(SCORED, sticky=True, key_sample=0))
    slow, poor, wrong, lost = (assigned(trials, CANARY, key) for key in (b"a", b"b", b"c", b"d"))
    poor.degraded = "plane=not_found"
    answered([(slow, 0, ()), (poor, 1, ()), (wrong, 2, ())], outputs_of(0.1, 0.2, float("nan")), 0.02)
    failed(lost, DeadlineExceeded("late"))
    tally = arms(trials)[True]
    assert firsts(tally) == [(event, event) for event in ("errors", "features_missing", "outputs_invalid")]
    assert not any(first.sampled for first in tally.firsts)
    # The whole model is seen by all of its requests.
    assert (tally.requests, tally.runs["slow.0.0"], "split" in tally.events) == (4, (0, 0, 1), False)
    assert tally.runs["ran.0"] == (0, 0, 1)


def test_a_key_leads_a_run_for_itself_and_what_is_no_evidence_is_told_of_the_step_alone() -> None:
    trials = trials_of(replace(TRIAL, sticky=True))
    first, second, third = (assigned(trials, CANARY, key) for key in (b"a", b"b", b"c"))
    answered([(first, 0, ()), (second, 1, ())], outputs_of(0.1, 0.2), 0.02, rows=2, leads=False)
    answered([(third, 0, ())], outputs_of(0.1), 0.005)
    tally = arms(trials)[True]
    slow = [(one.event, one.step_only) for one in tally.firsts if one.event.startswith("slow")]
    assert slow == [("slow.0.1", True), ("slow.1.1", True), ("slow.0.0", False)]
    assert tally.runs == {
        "ran.0": (1, 1, 1),
        "slow.0.0": (0, 0, 1),
        "ran.1": (0, 1, 1),
        "slow.0.1": (0, 0, 1),
        "slow.1.1": (0, 0, 1),
    }
    answered([(assigned(trials, CANARY, b"a"), 0, ())], outputs_of(0.1), 0.02)
    again = [(one.event, one.step_only) for one in arms(trials)[True].firsts if one.event.startswith("slow")]
    assert again == [("slow.0.0", False), ("slow.1.0", False)]


def test_without_a_share_of_the_canary_no_key_is_told() -> None:
    trials = trials_of(replace(SCORED, sticky=True, weight_bp=0))
    request = assigned(trials, "stable", b"N14228")
    answered([(request, 0, ())], outputs_of(0.1), 0.02)
    tally = arms(trials)[False]
    assert (tally.requests, tally.firsts) == (1, ())


def test_what_finds_no_room_is_lost_by_both_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.request_path.arm._MOST_FIRSTS", 10)
    trials = trials_of(replace(TRIAL, sticky=True))
    for number in range(20):
        assigned(trials, "stable", b"s-%d" % number)
        assigned(trials, CANARY, b"c-%d" % number)
    found = arms(trials)
    assert [(len(found[arm].firsts), found[arm].lost) for arm in (True, False)] == [(5, 15), (5, 15)]
    assigned(trials, CANARY, b"c-0")
    assigned(trials, CANARY, b"c-19")
    # There is room again, and only what was lost is told.
    assert len(arms(trials)[True].firsts) == 1


def test_an_arm_goes_on_where_another_table_has_the_same_trial_and_is_taken_where_it_has_not() -> None:
    trials = trials_of(TRIAL)
    answered([(assigned(trials, CANARY), 0, ())], outputs_of(0.1), 0.0)
    trials.adopt(table_of(TRIAL, epoch=3))
    answered([(assigned(trials, CANARY), 0, ())], outputs_of(0.1), 0.0)
    late = assigned(trials, CANARY)
    trials.adopt(table_of(replace(TRIAL, step=1, generation=4), epoch=4))
    answered([(late, 0, ())], outputs_of(0.1), 0.0)
    (tally,) = trials.take()
    assert (tally.requests, tally.trial.step) == (3, 0)


def test_what_was_on_its_way_under_an_earlier_table_counts_for_it_also_after_that_was_taken() -> None:
    trials = trials_of(TRIAL)
    hanging, forgotten = assigned(trials, CANARY), assigned(trials, CANARY)
    trials.adopt(table_of(replace(TRIAL, step=1, generation=4), epoch=4))
    list(trials.take())
    failed(hanging, DeadlineExceeded("it hung"))
    (tally,) = trials.take()
    assert (tally.requests, tally.events["errors"], tally.trial.step) == (1, 1, 0)
    for _ in range(100):
        assert not list(trials.take())
    failed(forgotten, DeadlineExceeded("it hung"))
    assert not list(trials.take())


def bench_of(*keys: VersionKey, trial: Trial = TRIAL) -> Bench:
    bench = Bench(EchoBackend([Hosted(key, SIGNATURE, batchable=True) for key in keys]), Served(1, "pool"))
    bench.predictor.variants.adopt(table_of(trial))
    return bench


async def test_requests_on_the_way_of_a_prediction_are_counted_once_each() -> None:
    bench = bench_of(KEY, SECOND)
    for _ in range(100):
        bench.ask(1.0)
    bench.backend.bad.add(row_of(7.0))
    bench.ask(7.0)
    await bench.settle()
    both = list(bench.predictor.variants.trials.take())
    assert sum(tally.requests for tally in both) == 101
    assert sum(tally.events.get("errors", 0) for tally in both) == 1
    assert sum(tally.events["split"] for tally in both) == 101


async def test_a_run_that_is_taken_as_it_is_is_counted_with_those_of_about_as_many_rows() -> None:
    signature = replace(SIGNATURE, optional=(TensorSpec("k", "FP32", (), optional=True),))
    hosted = [Hosted(key, signature, batchable=True) for key in (KEY, SECOND)]
    bench = Bench(EchoBackend(hosted), Served(1, "pool"))
    bench.predictor.variants.adopt(table_of(TRIAL))
    inputs = [Tensor("x", "FP32", (40, 2), row_of(1.0) * 40), Tensor("k", "FP32", (), pack("<f", 1.0))]
    bench.predictor.accept(Request(KEY.model, inputs, Caller(), asyncio.get_running_loop().time()))
    await bench.settle()
    (tally,) = [tally for tally in bench.predictor.variants.trials.take() if tally.runs]
    assert tally.runs["ran.5"][2] == 1


async def test_who_chooses_for_himself_is_not_counted() -> None:
    bench = bench_of(KEY, SECOND)
    request = Request(KEY.model, [], Caller(), asyncio.get_running_loop().time())
    request.pinned = CANARY
    bench.predictor.variants.choose(request)
    assert request.judged is None


async def test_where_nothing_hosts_the_canary_its_requests_are_answered_and_count_against_it() -> None:
    bench = bench_of(KEY)
    callers = [bench.ask(1.0) for _ in range(100)]
    await bench.settle()
    found = {tally.canary: tally for tally in bench.predictor.variants.trials.take()}
    assert all(caller.data == row_of(1.0) for caller in callers)
    assert found[True].requests == found[True].events["errors"] == found[True].events["split"] > 0
    assert "errors" not in found[False].events


async def test_a_crash_is_charged_to_the_version_that_ran() -> None:
    bench = bench_of(KEY, SECOND)
    bench.backend.replicas = 2
    bench.backend.deadly.add(row_of(9.0))
    bench.ask(9.0)
    await bench.settle()
    crashed = [tally.canary for tally in bench.predictor.variants.trials.take() if tally.crashes]
    assert len(crashed) == 1
