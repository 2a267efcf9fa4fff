"""Samples of rows to what is wrong and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving.features.feast.feast_source import FeastSource, JoinKey
from serving.features.feature_view import FeatureView, feature
from serving.features.health.sample import Sample, ServerFacts
from serving.features.health.view_health import advice_for, health_of, server_advice
from serving.features.keys import row_key
from serving.features.packed import RowLayout, Value

VIEW = FeatureView("plane", ("tailnum",), (feature("year"), feature("seats")), max_age_s=60.0)
NOW_S = 1_700_000_000.0


def sample(*rows: tuple[tuple[Value, ...], float], view: FeatureView = VIEW, **told: object) -> Sample:
    layout = RowLayout(view)
    stored = {row_key(view, [f"N{n}"]): layout.pack(values, NOW_S - age) for n, (values, age) in enumerate(rows)}
    return replace(Sample(stored, complete=True, estimated_rows=len(stored)), **told)  # type: ignore[arg-type]


def test_shares_are_of_the_rows_that_were_looked_at() -> None:
    found = sample(((1.0, None), 0), ((None, None), 61), ((2.0, 3.0), -3_600), key_bytes=100.0, estimated_rows=3_000)
    ticks = iter([0.0, 3e-6])
    health = health_of(VIEW, found, NOW_S, lambda: next(ticks))
    assert (health.sampled, health.rows, health.unreadable) == (3, 3_000, 0)
    assert health.stale == pytest.approx(1 / 3)
    assert health.future == pytest.approx(1 / 3)
    assert health.missing == {"year": pytest.approx(1 / 3), "seats": pytest.approx(2 / 3)}
    assert (health.row_bytes, health.memory_bytes) == (26, 300_000)
    assert health.decode_us == pytest.approx(1.0)


def test_rows_of_another_form_count_as_unreadable_and_nothing_is_read_from_them() -> None:
    other = replace(VIEW, features=(feature("year", "float64"), feature("seats")))
    found = sample(((1.0, 2.0), 0), ((1.0, 2.0), 0), view=other)
    health = health_of(VIEW, found, NOW_S)
    assert (health.unreadable, health.stale, health.missing) == (1.0, None, {})
    (said,) = advice_for(health, VIEW)
    assert said.startswith("100.0% of the rows were written for another form of the view")


def test_what_is_wrong_is_said_with_what_to_do() -> None:
    rows = [((None, 1.0), 61), ((None, 1.0), -3_600)]
    said = advice_for(health_of(VIEW, sample(*rows), NOW_S), VIEW)
    assert [line.split(":")[0] for line in said] == [
        "50.0% of the rows are older than max_age, and defaults stand in",
        "Nothing ever takes old rows away",
        "50.0% of the rows are of the future",
        "Mostly without a value, so that the default is what models see",
    ]
    assert said[-1].endswith("year (100.0%).")


def test_a_view_without_rows_says_how_to_load_some_and_a_sound_one_says_nothing() -> None:
    assert "sluice features load FILE --view plane" in advice_for(health_of(VIEW, sample(), NOW_S), VIEW)[0]
    assert advice_for(health_of(VIEW, sample(((1.0, 2.0), 0)), NOW_S), VIEW) == []


def test_the_hottest_are_told_by_their_entities() -> None:
    used = {row_key(VIEW, [f"N{number}"]): number for number in range(7)} | {b"sluice:f:plane:x": 9}
    health = health_of(VIEW, sample(((1.0, 2.0), 0), frequencies=used), NOW_S)
    assert health.hottest is not None
    assert health.hottest[1:] == [("N6", 6), ("N5", 5), ("N4", 4), ("N3", 3)]
    assert health_of(VIEW, sample(((1.0, 2.0), 0)), NOW_S).hottest is None


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (ServerFacts(), []),
        (ServerFacts(clock_ahead_s=0.9, used_bytes=90, limit_bytes=100, policy="noeviction"), []),
        (ServerFacts(clock_ahead_s=-1.5), ["The server's clock is 1.5 s behind this machine's"]),
        (
            ServerFacts(used_bytes=91, limit_bytes=100, policy="noeviction"),
            ["91.0% of maxmemory is taken; when it is full, writes are refused."],
        ),
        (
            ServerFacts(used_bytes=91, limit_bytes=100, policy="allkeys-lru"),
            ["91.0% of maxmemory is taken; when it is full, rows are forgotten (allkeys-lru)."],
        ),
    ],
)
def test_clocks_and_memory_of_the_server_are_judged(facts: ServerFacts, said: list[str]) -> None:
    assert [line.split(":")[0] for line in server_advice(facts)] == said


def test_a_node_of_a_cluster_is_judged_by_its_name() -> None:
    facts = ServerFacts(clock_ahead_s=2.0, used_bytes=91, limit_bytes=100, policy="noeviction")
    clock, memory = server_advice(facts, "10.0.0.7:6379")
    assert clock.startswith("The clock of 10.0.0.7:6379 is 2.0 s ahead of this machine's")
    assert memory == "91.0% of maxmemory of 10.0.0.7:6379 is taken; when it is full, writes are refused."


def test_to_decode_a_row_of_feast_is_to_make_a_packed_one_of_its_fields_and_to_read_that() -> None:
    view = FeatureView("stats", ("id",), (feature("x"),), feast=FeastSource("p", "stats", (JoinKey("id", "int64"),)))
    key, row = row_key(view, [1]), RowLayout(view).pack([1.0], 0.0)
    seconds = iter((0.0, 2.0, 10.0, 11.0))
    one = Sample({key: row}, complete=True, estimated_rows=1, fields=[[None, b""]])
    health = health_of(view, one, 0.0, lambda: next(seconds))
    assert health.decode_us == 3e6
    assert advice_for(replace(health, sampled=0), view) == [
        "No row is stored; Feast writes them (`feast materialize`), as its view 'stats'."
    ]
