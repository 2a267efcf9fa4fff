"""What a new configuration makes of one table after another is taken by who has the one before."""

from __future__ import annotations

from typing import Any, cast

from serving.processes.changeover import Changeover
from serving.processes.session_reload import Following
from serving.routing.table import EMPTY, Route, RouteTable, Split
from serving.routing.table_merge import merged


def table(epoch: int, *models: str, salt: str = "") -> RouteTable:
    return RouteTable(epoch, {model: Route(model, salt, (Split("stable", 1, 10_000),), ()) for model in models})


class New:
    """A configuration with a model more, or none."""

    def __init__(self, *models: str) -> None:
        self._first = table(1, *models)

    def merged(self, now: RouteTable, before: RouteTable) -> RouteTable:
        return merged(now, before, self._first)


def changeover(*models: str) -> Changeover:
    return Changeover(cast("Following", cast("Any", New(*models))), table(1, "a"), {})


def test_it_begins_above_the_table_in_force() -> None:
    made = changeover("a", "c").made_of(table(4, "a"))
    assert (made.epoch, list(made.routes)) == (5, ["a", "c"])


def test_what_is_made_of_the_next_table_is_above_that_one_and_above_what_was_made_before() -> None:
    change = changeover("a", "c")
    change.made_of(table(4, "a"))
    made = change.made_of(table(5, "a", salt="s"))
    assert (made.epoch, made.routes["a"].salt, list(made.routes)) == (6, "s", ["a", "c"])
    assert change.made_of(table(5, "a", salt="s")) is made


def test_where_the_configurations_make_the_same_table_it_is_the_one_in_force() -> None:
    change = changeover("a")
    for now in (table(4, "a"), table(4, "a"), table(5, "a", salt="s")):
        assert change.made_of(now) is now
    assert change.basis is change.handed is now


def test_a_table_that_makes_the_change_itself_is_above_what_was_made_before_unless_it_is_the_same() -> None:
    change = changeover("a", "c")
    before = change.made_of(table(4, "a"))
    assert change.made_of(table(5, "a", "c")) == before
    assert change.made_of(table(5, "a", "c", salt="s")).epoch == 6


def test_nothing_was_made_at_first() -> None:
    assert changeover("a").handed is EMPTY
