"""Counts of several workers, through crashes, rolls and unloaded versions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.inference import VersionKey
from serving.telemetry.catalogue import CATALOGUE
from serving.telemetry.fleet_counts import FleetCounts
from serving.telemetry.snapshot import Distribution, Exemplar, Series, Snapshot, dump
from serving.telemetry.usage import Runs, Usage

OK = Series("sluice_requests_total", ("m", "1", "stable", "ok"))
RUN = Series("sluice_stage_seconds", ("run", "m", "1", "stable"))
QUEUE_STAGE = Series("sluice_stage_seconds", ("queue", "m", "", ""))
WAITING = Series("sluice_queue_rows", ("m", "1", "stable"))
REPLICAS = Series("sluice_pool_replicas", ("default",))
BAD = Series("sluice_requests_total", ("", "", "", "bad_request"))
M1, M2 = VersionKey("m", 1), VersionKey("m", 2)


def counts(ok: int, versions: frozenset[VersionKey] | None = None, **gauges: float) -> dict[str, object]:
    named = {"waiting": WAITING, "replicas": REPLICAS}
    return dump(
        Snapshot(
            {RUN: Distribution((ok, 0), ok * 0.5), QUEUE_STAGE: Distribution((ok, 0), 0.0)},
            {OK: ok, BAD: 1},
            {named[name]: value for name, value in gauges.items()},
            versions,
        )
    )


def test_one_page_has_the_sum_of_all_workers() -> None:
    fleet = FleetCounts()
    fleet.counted(1, counts(3))
    fleet.counted(2, counts(4))
    page = fleet.merged(Snapshot())
    assert page.counters == {OK: 7, BAD: 2}
    assert page.histograms[RUN] == Distribution((7, 0), 3.5)


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["count", "count", "end"]), st.integers(0, 9))))
def test_counters_never_fall_whoever_ends(steps: list[tuple[int, str, int]]) -> None:
    fleet, totals, names, before = FleetCounts(), dict.fromkeys(range(1, 5), 0), dict.fromkeys(range(1, 5), 0), 0.0
    for worker, what, more in steps:
        if what == "end":
            fleet.gone(10 * worker + 1000 * names[worker])
            names[worker] += 1
            totals[worker] = 0
        else:
            totals[worker] += more
            fleet.counted(10 * worker + 1000 * names[worker], counts(totals[worker]))
        now = fleet.merged(Snapshot()).counters.get(OK, 0)
        assert now >= before
        before = now


def test_gauges_end_with_their_worker_and_each_merges_in_its_own_way() -> None:
    fleet = FleetCounts()
    fleet.counted(1, counts(1, waiting=5, replicas=2))
    fleet.counted(2, counts(1, waiting=3, replicas=1))
    assert fleet.merged(Snapshot()).gauges == {WAITING: 8, REPLICAS: 1}
    fleet.gone(2)
    assert fleet.merged(Snapshot()).gauges == {WAITING: 5, REPLICAS: 2}


def test_series_of_an_unloaded_version_go_away_also_those_of_workers_that_ended() -> None:
    fleet = FleetCounts()
    fleet.counted(1, counts(5, frozenset({M1, M2})))
    fleet.gone(1)
    fleet.counted(2, counts(1, frozenset({M1, M2})))
    assert fleet.merged(Snapshot()).counters[OK] == 6
    fleet.counted(2, dump(Snapshot(versions=frozenset({M2}))))
    page = fleet.merged(Snapshot())
    assert set(page.counters) == {BAD}
    assert set(page.histograms) == {QUEUE_STAGE}


def test_series_of_a_version_stay_while_any_worker_serves_it() -> None:
    fleet = FleetCounts()
    fleet.counted(1, counts(5, frozenset({M1})))
    fleet.counted(2, dump(Snapshot(versions=frozenset({M2}))))
    assert fleet.merged(Snapshot()).counters[OK] == 5


def test_a_worker_that_does_not_know_yet_what_it_serves_ends_no_series() -> None:
    fleet = FleetCounts()
    fleet.counted(1, counts(5, frozenset({M1})))
    fleet.gone(1)
    fleet.counted(2, dump(Snapshot(versions=None)))
    assert fleet.merged(Snapshot()).counters[OK] == 5
    fleet.counted(2, dump(Snapshot(versions=frozenset())))
    assert fleet.merged(Snapshot()).counters[OK] == 5


def test_another_releases_counts_are_left_out() -> None:
    fleet = FleetCounts()
    assert not fleet.counted(1, {"format": 2, "anything": []})
    assert fleet.merged(Snapshot()).counters == {}


def test_every_gauge_says_how_it_merges_and_every_name_is_ours() -> None:
    for name, spec in CATALOGUE.items():
        assert name.startswith("sluice_")
        assert spec.merge in {"sum", "max", "min"}
        assert (spec.kind == "counter") == name.endswith("_total")


def used(answered: int, rows: int, last_at: float = 0.0) -> Usage:
    return Usage(answered, 0.5 * answered, last_at=last_at, runs={rows: Runs(answered, 0.0, 0.25, 0.0)})


def told(usage: dict[VersionKey, Usage], versions: frozenset[VersionKey] | None = None) -> dict[str, object]:
    return dump(Snapshot(versions=versions, usage=usage))


def test_usage_is_the_sum_of_all_workers_also_of_those_that_ended() -> None:
    fleet = FleetCounts()
    served = frozenset({M1, M2})
    fleet.counted(1, told({M1: used(2, 4, 10.0), M2: used(1, 1)}, served))
    fleet.counted(2, told({M1: used(3, 4, 20.0)}, served))
    fleet.counted(3, told({M1: used(1, 8, 5.0)}, served))
    fleet.gone(1)
    fleet.gone(3)
    expected = Usage(6, 3.0, last_at=20.0, runs={4: Runs(5, 0.0, 0.5, 0.0), 8: Runs(1, 0.0, 0.25, 0.0)})
    assert fleet.usage({})[M1] == expected
    assert fleet.merged(Snapshot()).usage[M1] == expected


def test_one_models_counts_are_those_of_living_and_ended_workers() -> None:
    fleet = FleetCounts()
    fleet.counted(1, counts(3))
    fleet.counted(2, counts(4))
    other = Series("sluice_requests_total", ("other", "1", "stable", "ok"))
    fleet.counted(3, dump(Snapshot(counters={other: 9})))
    fleet.gone(1)
    assert fleet.of_model("m", {"sluice_requests_total"}) == Snapshot(counters={OK: 7})
    assert fleet.of_model("m", {"sluice_stage_seconds"}).histograms[RUN] == Distribution((7, 0), 3.5)


def test_what_a_worker_tells_now_stands_for_its_last_report() -> None:
    fleet = FleetCounts()
    fleet.counted(1, told({M1: used(2, 4)}))
    fleet.counted(2, told({M1: used(2, 4)}))
    assert fleet.usage({2: {M1: used(5, 4)}, 3: {M1: used(1, 4)}})[M1].answered == 8
    assert fleet.usage({})[M1].answered == 4


def test_usage_of_a_version_that_nobody_serves_any_more_goes_away() -> None:
    fleet = FleetCounts()
    fleet.counted(1, told({M1: used(2, 4), M2: used(1, 1)}, frozenset({M1, M2})))
    fleet.counted(2, told({M1: used(1, 4)}, frozenset({M1, M2})))
    fleet.gone(2)
    fleet.counted(1, told({}, frozenset({M2})))
    fleet.counted(3, told({}, frozenset({M2})))
    fleet.gone(3)
    assert set(fleet.usage({})) == {M2}


def test_of_the_exemplars_of_a_bucket_the_latest_is_shown_until_its_version_goes() -> None:
    def told(at_s: float, versions: frozenset[VersionKey] | None = None) -> dict[str, object]:
        return dump(Snapshot(versions=versions, exemplars={RUN: {1: Exemplar(f"at {at_s}", 0.1, at_s)}}))

    fleet = FleetCounts()
    fleet.counted(1, told(5.0, frozenset({M1})))
    fleet.counted(2, told(7.0, frozenset({M1})))
    fleet.counted(1, told(6.0))
    assert fleet.merged(Snapshot()).exemplars == {RUN: {1: Exemplar("at 7.0", 0.1, 7.0)}}
    # Those that are not told anew stay.
    fleet.counted(2, dump(Snapshot()))
    assert fleet.merged(Snapshot()).exemplars[RUN][1].at_s == 7.0
    for worker in (1, 2):
        fleet.counted(worker, dump(Snapshot(versions=frozenset({M2}))))
    assert not fleet.merged(Snapshot()).exemplars
