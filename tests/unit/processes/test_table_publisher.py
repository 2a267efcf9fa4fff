"""The routing table in the control Redis: put there once, above an older one, and again to a server that forgot it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving.processes.table_publisher import TablePublisher
from serving.routing.table import Route, RouteTable, Served, Split, dump, load
from serving.state.table_store import TableStore


class FakeStore(TableStore):
    """A server that may forget, and that refuses an epoch which is not higher, as the real one does."""

    def __init__(self) -> None:
        self.held: bytes | None = None

    async def publish(self, table: bytes, epoch: int, number: int = 0) -> bool:
        if self.held is not None and load(self.held).epoch >= epoch:
            return False
        self.held = table
        return True

    async def current(self) -> bytes | None:
        return self.held

    @property
    def table(self) -> RouteTable:
        assert self.held is not None
        return load(self.held)


def table(epoch: int, version: int = 1) -> RouteTable:
    route = Route("m", "s", (Split("stable", version, 10_000),), (Served(version, "p"),))
    return RouteTable(epoch, {"m": route})


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


async def test_an_empty_server_gets_the_table_again(store: FakeStore) -> None:
    publisher = TablePublisher(store, table(1))
    await publisher.look()
    assert store.table == table(1)
    store.held = None
    await publisher.look()
    assert store.table == table(1)


async def test_the_table_of_an_earlier_session_is_replaced_by_a_newer_epoch(store: FakeStore) -> None:
    store.held = dump(table(7, version=1))
    await TablePublisher(store, table(1, version=2)).look()
    assert store.table == table(8, version=2)


async def test_a_later_table_is_left_alone_and_is_what_a_server_that_forgot_gets(
    store: FakeStore,
) -> None:
    publisher = TablePublisher(store, table(1))
    await publisher.look()
    later = replace(table(5, version=2))
    store.held = dump(later)
    await publisher.look()
    assert store.table == later
    store.held = None
    await publisher.look()
    assert store.table == later
