"""Following tables: the newest epoch wins, and the last good one survives a restart."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from serving.routing.table import Route, RouteTable, Served, Split, dump
from serving.routing.table_feed import TableFeed


def table(epoch: int) -> RouteTable:
    return RouteTable(epoch, {"m": Route("m", "s", (Split("stable", 1, 10_000),), (Served(1, "p"),))})


def test_only_a_higher_epoch_is_adopted() -> None:
    adopted: list[RouteTable] = []
    feed = TableFeed(None, adopted.append)
    assert feed.offer(dump(table(3)))
    assert not feed.offer(dump(table(3)))
    assert not feed.offer(dump(table(2)))
    assert feed.offer(dump(table(4)))
    assert [each.epoch for each in adopted] == [3, 4]


def test_nothing_and_nonsense_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    adopted: list[RouteTable] = []
    feed = TableFeed(None, adopted.append)
    feed.offer(dump(table(3)))
    with caplog.at_level(logging.WARNING):
        assert not feed.offer(None)
        assert not feed.offer(b"garbage")
    assert feed.table.epoch == 3
    assert "ignored" in caplog.text


def test_the_last_good_table_survives_a_restart(tmp_path: Path) -> None:
    cache = tmp_path / "table.json"
    TableFeed(cache, lambda _: None).offer(dump(table(5)))
    adopted: list[RouteTable] = []
    again = TableFeed(cache, adopted.append)
    again.restore()
    assert adopted == [table(5)]
    assert [path.name for path in tmp_path.iterdir()] == ["table.json"]


def test_a_cache_that_cannot_be_written_does_not_stop_the_table(tmp_path: Path) -> None:
    adopted: list[RouteTable] = []
    feed = TableFeed(tmp_path / "missing" / "table.json", adopted.append)
    assert feed.offer(dump(table(5)))
    assert adopted == [table(5)]


def test_a_damaged_cache_is_passed_over(tmp_path: Path) -> None:
    cache = tmp_path / "table.json"
    cache.write_bytes(b"half a tab")
    feed = TableFeed(cache, lambda _: None)
    feed.restore()
    assert feed.table.epoch == 0
    assert feed.offer(dump(table(1)))
