"""Counts of several workers, through crashes, rolls and unloaded versions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.inference import VersionKey
from serving.telemetry.catalogue import CATALOGUE
from serving.telemetry.fleet_counts import FleetCounts
from serving.telemetry.snapshot import Distribution, Series, Snapshot, dump

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
