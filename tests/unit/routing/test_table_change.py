"""What loading and unloading make of a table: nobody who is asked now gets less than before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest, InUse, UnknownModel
from serving.routing.table import Route, RouteTable, Served, Split, Trial, dump, load
from serving.routing.table_change import with_limits, with_pools, with_split, with_version, without_version

TRIAL = Route(
    "a", "a/2", (Split("stable", 1, 9_500), Split("canary", 2, 500)), tuple(Served(n, "p") for n in (1, 2, 3))
)


def alone(model: str, version: int) -> Route:
    return Route(model, model, (Split("stable", version, 10_000),), (Served(version, "p"),))


TABLE = RouteTable(7, {"a": TRIAL, "b": alone("b", 1)})


def test_a_loaded_version_can_be_asked_for_and_changes_no_split() -> None:
    table = with_version(TABLE, alone("a", 9), 9)
    assert table.epoch == 8
    assert table.routes["a"].splits == TRIAL.splits
    assert [served.version for served in table.routes["a"].served] == [1, 2, 3, 9]
    assert table.routes["b"] is TABLE.routes["b"]


def test_a_model_that_is_new_is_answered_by_its_only_version() -> None:
    assert with_version(TABLE, alone("c", 4), 4).routes["c"] == alone("c", 4)


def test_what_is_in_the_table_already_changes_nothing() -> None:
    assert with_version(TABLE, alone("a", 3), 3) is TABLE


def test_a_version_that_no_split_names_leaves() -> None:
    table = without_version(TABLE, "a", 3)
    assert table.epoch == 8
    assert [served.version for served in table.routes["a"].served] == [1, 2]


def test_the_version_that_answers_stays_also_with_force() -> None:
    for force in (False, True):
        with pytest.raises(InUse, match=r"answers every request .* unload another one \(2, 3\)"):
            without_version(TABLE, "a", 1, force=force)


def test_a_version_under_trial_leaves_with_force_and_stable_gets_its_share() -> None:
    with pytest.raises(InUse, match="under trial"):
        without_version(TABLE, "a", 2)
    assert without_version(TABLE, "a", 2, force=True).routes["a"].splits == (Split("stable", 1, 10_000),)


@pytest.mark.parametrize(("model", "version"), [("b", 1), ("b", None), ("a", None)])
def test_a_whole_model_leaves_only_with_force(model: str, version: int | None) -> None:
    with pytest.raises(InUse, match="with force"):
        without_version(TABLE, model, version)
    assert model not in without_version(TABLE, model, version, force=True).routes


def test_the_last_model_stays() -> None:
    with pytest.raises(InUse, match="stop the session"):
        without_version(RouteTable(1, {"b": alone("b", 1)}), "b", None, force=True)


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(UnknownModel, match=r"no model 'x'; known are \['a', 'b'\]"):
        without_version(TABLE, "x", 1)
    with pytest.raises(UnknownModel, match=r"no version 8; known are \[1, 2, 3\]"):
        without_version(TABLE, "a", 8)


Order = tuple[str, int | None, bool, bool]
orders: st.SearchStrategy[list[Order]] = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(1, 4)), st.booleans(), st.booleans()),
    max_size=20,
)


@given(orders)
def test_after_any_row_of_orders_the_table_can_be_read_and_every_model_answers(row: list[Order]) -> None:
    table = TABLE
    for model, version, loads, force in row:
        before = table
        if loads:
            table = with_version(table, alone(model, version or 1), version or 1)
        else:
            try:
                table = without_version(table, model, version, force=force)
            except (InUse, UnknownModel):
                assert table is before
        assert table.epoch >= before.epoch
        assert load(dump(table)) == table
        assert table.routes


def test_other_limits_hold_for_every_version_of_the_model_and_no_other_model() -> None:
    table = RouteTable(
        3,
        {
            name: Route(name, name, (Split("stable", 1, 10_000),), (Served(1, "p"), Served(2, "p", max_rows=8)))
            for name in ("a", "b")
        },
    )
    changed = with_limits(table, "a", {"max_rows": 16, "default_priority": 1})
    assert [(one.max_rows, one.default_priority) for one in changed.routes["a"].served] == [(16, 1), (16, 1)]
    assert (changed.epoch, changed.routes["b"]) == (4, table.routes["b"])
    assert with_limits(changed, "a", {"max_rows": 16}) is changed
    with pytest.raises(BadRequest, match="more than the queue of 4096"):
        with_limits(table, "a", {"max_rows": 5_000})
    with pytest.raises(BadRequest, match="none of 3 priority levels"):
        with_limits(table, "a", {"default_priority": 4})
    with pytest.raises(UnknownModel):
        with_limits(table, "c", {})


HALF = (Split("stable", 1, 5_000), Split("canary", 3, 5_000))
COUNTED = Trial("r", 0, step=1, weight_bp=5_000, sticky=True, began_s=1.0, count_from_s=2.0)


def test_another_split_has_the_next_epoch_and_dates_what_is_counted_of_it() -> None:
    table = with_split(TABLE, "a", HALF, COUNTED, "r")
    route = table.routes["a"]
    assert (table.epoch, route.splits, route.salt) == (8, HALF, "r")
    assert route.trial == replace(COUNTED, generation=8)
    assert load(dump(table)) == table
    assert with_split(table, "a", HALF, COUNTED, "r") is table


def test_what_is_counted_is_dated_anew_with_step_or_weight_and_not_with_anything_else() -> None:
    table = with_split(TABLE, "a", HALF, COUNTED, "r")
    later = with_split(table, "a", HALF, replace(COUNTED, count_from_s=9.0), "r")
    assert later.routes["a"].trial == replace(COUNTED, generation=8, count_from_s=9.0)
    grown = with_split(later, "a", HALF, replace(COUNTED, step=2), "r")
    assert grown.routes["a"].trial == replace(COUNTED, generation=10, step=2)


def test_a_split_that_cannot_be_is_refused() -> None:
    with pytest.raises(UnknownModel, match="no model 'z'"):
        with_split(TABLE, "z", HALF, None, "r")
    with pytest.raises(UnknownModel, match="no version 9 that is served"):
        with_split(TABLE, "a", (Split("stable", 9, 10_000),), None, "r")
    with pytest.raises(BadRequest, match="add up to 9999"):
        with_split(TABLE, "a", (Split("stable", 1, 9_999),), None, "r")
    with pytest.raises(BadRequest, match="add up to 10000"):
        with_split(TABLE, "a", (Split("stable", 1, 10_001), Split("canary", 2, -1)), None, "r")


def test_a_trial_that_is_ended_by_force_is_counted_no_more() -> None:
    table = with_split(TABLE, "a", HALF, COUNTED, "r")
    assert without_version(table, "a", 2).routes["a"].trial is not None
    assert without_version(table, "a", 3, force=True).routes["a"].trial is None


def test_a_version_may_be_asked_for_in_another_pool_and_nothing_else_changes() -> None:
    table = with_pools(TABLE, "a", {2: "a-canary"})
    assert table.epoch == 8
    assert [served.pool for served in table.routes["a"].served] == ["p", "a-canary", "p"]
    assert replace(table.routes["a"], served=TRIAL.served) == TRIAL
    assert with_pools(table, "a", {2: "a-canary"}) is table
    assert with_pools(table, "a", {}) is table
    assert with_pools(TABLE, "none", {1: "q"}) is TABLE
