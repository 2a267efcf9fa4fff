"""A model that only a later configuration names is routed, whatever table is in force; what was let go stays away."""

from __future__ import annotations

from serving.processes.own_models import OwnModels
from serving.routing.table import Route, RouteTable, Served, Split, dump, load


class FakeStore:
    """A server that refuses an epoch which is not higher; somebody may be quicker `times`."""

    def __init__(self, *models: str, epoch: int = 7) -> None:
        self.held: bytes | None = dump(table(*models, epoch=epoch)) if models else None
        self.models: frozenset[str] = frozenset()
        self.quicker = 0

    async def current(self) -> bytes | None:
        return self.held

    async def publish(self, data: bytes, epoch: int, number: int = 0) -> bool:
        if self.quicker:
            self.quicker -= 1
            self.held = dump(table(*self.table.routes, "quick", epoch=epoch))
            return False
        assert epoch > self.table.epoch
        self.held = data
        return True

    async def remembered(self) -> frozenset[str]:
        return self.models

    async def remember(self, models: frozenset[str]) -> None:
        self.models |= models

    @property
    def table(self) -> RouteTable:
        assert self.held is not None
        return load(self.held)


def table(*models: str, epoch: int = 1, version: int = 1) -> RouteTable:
    split = (Split("stable", version, 10_000),)
    return RouteTable(epoch, {name: Route(name, name, split, (Served(version, "p"),)) for name in models})


async def test_a_model_that_the_table_in_force_never_had_is_added_and_its_word_on_others_stays() -> None:
    store = FakeStore("a")
    await OwnModels(store, table("a", "b", version=2)).add()
    assert store.table == RouteTable(8, {**table("a").routes, **table("b", version=2).routes})
    assert store.models == {"a", "b"}


async def test_a_model_that_an_order_let_go_stays_away() -> None:
    store = FakeStore("a")
    store.models = frozenset({"a", "b"})
    await OwnModels(store, table("a", "b")).add()
    assert store.table == table("a", epoch=7)


async def test_without_a_table_in_force_each_gateway_goes_by_its_own() -> None:
    store = FakeStore()
    await OwnModels(store, table("a")).add()
    assert store.held is None


async def test_who_was_quicker_loses_nothing() -> None:
    store = FakeStore("a")
    store.quicker = 2
    await OwnModels(store, table("b")).add()
    assert sorted(store.table.routes) == ["a", "b", "quick"]


def test_only_a_table_without_them_is_looked_into() -> None:
    own = OwnModels(FakeStore(), table("a"))
    for data in (None, b"no table", dump(table("a", "b"))):
        own.delivered(data)
        assert not own._missing.is_set()
    own.delivered(dump(table("b")))
    assert own._missing.is_set()
