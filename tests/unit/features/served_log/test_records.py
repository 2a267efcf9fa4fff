"""What stands in the log of a request."""

from __future__ import annotations

from serving.features.explanation import Wants
from serving.features.plan import ReadPlan
from serving.features.served_log.entity_ids import plain
from serving.features.served_log.records import columns_of, records_of
from tests.unit.features.conftest import COLUMNS
from tests.unit.features.served_log.served import entry_of
from tests.unit.features.test_plan import FOUND, INSTANCE, NOW_MS


def test_each_instance_is_one_record_with_what_was_asked_given_and_answered(plan: ReadPlan) -> None:
    entry = entry_of(plan, INSTANCE, {**INSTANCE, "tailnum": "none"})
    known, unknown = records_of(entry, plain)
    assert (known["request_id"], known["instance"], unknown["instance"]) == ("r1", 0, 1)
    assert (known["model"], known["version"], known["variant"]) == ("late", 3, "canary")
    assert known["served_at"] == NOW_MS
    assert {name: known[f"entity.{name}"] for name in plan.entity_keys} == {n: INSTANCE[n] for n in plan.entity_keys}
    assert (known["prediction.y"], unknown["prediction.y"]) == ([0.0], [1.0])
    assert (known["prediction.word"], unknown["prediction.word"]) == (["1"], ["2"])
    assert (known["status.plane.year"], unknown["status.plane.year"]) == ("PRESENT", "DEFAULT")
    assert (known["age_s.plane"] is None, unknown["age_s.plane"]) == (False, None)


def test_the_row_is_the_one_that_return_features_shows(plan: ReadPlan) -> None:
    entry = entry_of(plan, INSTANCE, {**INSTANCE, "tailnum": "none"})
    rows = entry.seen.rows
    rows.wants = Wants(status=False, values=True)
    shown = plan.explanation.told(rows, FOUND, NOW_MS, entry.seen.tensors)["features"]
    logged = [{"x": {name: record[f"feature.x.{name}"] for name in COLUMNS}} for record in records_of(entry, plain)]
    # As text, since NaN is not itself.
    assert repr(logged) == repr(shown)


def test_the_columns_are_those_of_the_records(plan: ReadPlan) -> None:
    entry = entry_of(plan, INSTANCE)
    (record,) = records_of(entry, plain)
    assert sorted(name for name, _ in columns_of(entry)) == sorted(record)


def test_a_request_without_an_id_has_none(plan: ReadPlan) -> None:
    (record,) = records_of(entry_of(plan, INSTANCE, request_id=None), plain)
    assert record["request_id"] is None


def test_of_a_long_id_the_beginning_is_logged(plan: ReadPlan) -> None:
    (record,) = records_of(entry_of(plan, INSTANCE, request_id="é" * 257), plain)
    assert record["request_id"] == "é" * 256


def test_an_output_whose_rows_are_not_the_instances_is_left_empty(plan: ReadPlan) -> None:
    entry = entry_of(plan, INSTANCE)
    entry.answer.whole = True
    (record,) = records_of(entry, plain)
    assert record["prediction.y"] is None
