"""Another configuration over a table in force: its settings come, what was ordered since stays."""

from __future__ import annotations

from dataclasses import replace

from serving.routing.table import Route, RouteTable, Served, Split, Trial
from serving.routing.table_merge import merged, objections

TRIAL = Trial("r1", 3, 1, 500, sticky=False, began_s=0.0, count_from_s=0.0)


def route(model: str, *served: Served, stable: int = 1) -> Route:
    return Route(model, model, (Split("stable", stable, 10_000),), served)


def table(*routes: Route, epoch: int = 1) -> RouteTable:
    return RouteTable(epoch, {one.model: one for one in routes})


A, B = route("a", Served(1, "p")), route("b", Served(1, "p"))


def test_the_same_configuration_changes_nothing() -> None:
    now = table(route("a", Served(1, "p", max_rows=7), Served(2, "p")), epoch=9)
    assert merged(now, table(A), table(A)) is now


def test_a_model_that_is_new_is_routed_and_one_that_is_gone_no_more() -> None:
    found = merged(table(A, epoch=9), table(A), table(B))
    assert (found.epoch, dict(found.routes)) == (10, {"b": B})


def test_a_model_that_was_let_go_by_an_order_stays_away_and_one_that_was_loaded_stays() -> None:
    now = table(B, epoch=9)
    assert merged(now, table(A), table(A)) is now


def test_what_configurations_say_otherwise_changes_and_what_was_ordered_since_stays() -> None:
    ordered = table(route("a", Served(1, "p", max_rows=7, queue_rows=70)))
    after = table(route("a", Served(1, "p", deadline_ms=50, queue_rows=80)))
    (served,) = merged(ordered, table(A), after).routes["a"].served
    assert served == Served(1, "p", deadline_ms=50, queue_rows=80, max_rows=7)


def test_a_version_that_was_loaded_later_gets_its_models_new_settings() -> None:
    now = table(route("a", Served(1, "p"), Served(2, "p")))
    found = merged(now, table(A), table(route("a", Served(1, "q", deadline_ms=50))))
    assert [(one.pool, one.deadline_ms) for one in found.routes["a"].served] == [("q", 50), ("q", 50)]


def test_a_canary_with_replicas_of_its_own_stays_in_them() -> None:
    now = table(route("a", Served(1, "p"), Served(2, "a-canary")))
    found = merged(now, table(A), table(route("a", Served(1, "q"))))
    assert [one.pool for one in found.routes["a"].served] == ["q", "a-canary"]


def test_a_version_that_is_new_can_be_asked_for_and_who_answers_stays() -> None:
    after = table(route("a", Served(1, "p"), Served(2, "p"), stable=2))
    found = merged(table(A), table(A), after).routes["a"]
    assert [one.version for one in found.served] == [1, 2]
    assert found.splits == A.splits


def test_a_version_that_is_gone_leaves_unless_a_split_names_it() -> None:
    both = route("a", Served(1, "p"), Served(2, "p"))
    without = table(route("a", Served(2, "p"), stable=2))
    assert merged(table(both), table(both), table(A)).routes["a"] == A
    assert merged(table(both), table(both), without).routes["a"] == both


def test_what_answers_and_is_gone_is_objected_to() -> None:
    both = route("a", Served(1, "p"), Served(2, "p"))
    (told,) = objections(table(both), table(both), table(route("a", Served(2, "p"), stable=2)))
    assert told == (
        "version 1 of model 'a' answers requests, and is not among those that can be served; pin another one first"
    )


def test_a_trials_arms_are_left_alone_until_it_is_over() -> None:
    now = table(replace(A, trial=TRIAL), B)
    changed = table(route("a", Served(1, "p", deadline_ms=50)), B)
    assert list(objections(now, table(A, B), changed)) == [
        "model 'a' is under rollout r1; wait for its end, or abort it"
    ]
    assert list(objections(now, table(A, B), table(B))) == [
        "model 'a' is under rollout r1; wait for its end, or abort it"
    ]
    assert list(objections(now, table(A, B), table(A))) == []
