"""`sluice features doctor | bench`, run as a person does, against a real Valkey."""

from __future__ import annotations

import json
import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.features.feast.feast_source import FeastSource, JoinKey
from serving.features.feast.hash_row import HashRow
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import prefix, row_key
from serving.features.store.redis_store import EntityRow, RedisStore
from tests.integration.cli.sluice_command import Ended, sluice, sluice_watched
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration

CONFIG = """
feature_views:
  plane:
    entity: [tailnum]
    max_age: 30d
    features: {year: float32, seats: int64}
  route:
    entity: [origin, dest]
    features: {delay: float64}
  stats:
    store: feast
    entity: [id]
    feast: {project: p, join_keys: {id: int64}}
    features: {x: float32}
"""
PLANE = FeatureView("plane", ("tailnum",), (feature("year"), feature("seats", "int64")))
ROUTE = FeatureView("route", ("origin", "dest"), (feature("delay", "float64"),))


class Commands:
    """The commands with one configuration and one server."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder = folder
        (folder / "sluice.yaml").write_text(CONFIG)
        self._flags = ("--config", str(folder / "sluice.yaml"), "--redis-url", server.url)

    def run(self, *arguments: str) -> Ended:
        return sluice("features", *arguments, *self._flags, cwd=self._folder)

    def watched(self, *arguments: str) -> Ended:
        return sluice_watched("features", *arguments, *self._flags, COLUMNS="200")


@pytest.fixture
def commands(tmp_path: Path, server: Server) -> Commands:
    return Commands(tmp_path, server)


@pytest.fixture
def filled(server: Server) -> None:
    now_s = time.time()
    old_s = now_s - 31 * 86_400
    with RedisStore(server.url) as store:
        store.put(
            PLANE, [EntityRow((f"N{n}",), (None if n % 4 else 1.0, n), now_s if n % 2 else old_s) for n in range(1_000)]
        )
        store.put(ROUTE, [EntityRow(("EWR", "IAH"), (1.5,), now_s)])
    # Among the view's keys, and no rows of it.
    server.client().set(b"sluice:f:plane:1:x", b"nonsense")
    server.client().lpush(b"sluice:f:plane:1:y", b"nonsense")
    server.client().set(b"elsewhere", b"1")


@pytest.mark.usefixtures("filled")
def test_the_doctor_says_what_is_missing_stale_and_unreadable_and_what_to_do(commands: Commands) -> None:
    ended = commands.run("doctor", "plane", "--json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    (view,) = document["views"]
    assert (view["sampled"], view["rows"], view["complete"]) == (1_002, 1_002, True)
    assert view["missing"] == {"year": 0.75, "seats": 0.0}
    assert view["stale"] == 0.5
    assert view["unreadable"] == pytest.approx(2 / 1_002)
    assert view["row_bytes"] == 30
    assert view["memory_bytes"] > 1_002 * 30
    assert view["hottest"] is None
    assert abs(document["server"]["clock_ahead_s"]) < 1
    assert [line.split(" of the rows ")[0] for line in document["advice"][:2]] == ["plane: 0.2%", "plane: 50.0%"]


@pytest.mark.usefixtures("filled")
def test_the_doctor_tells_people_of_all_views_and_says_what_the_server_does_not_count(commands: Commands) -> None:
    ended = commands.run("doctor")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert [line[:3] for line in lines if line[:1] == ["route"]] == [["route", "1", "1"], ["route", "delay", "0.0%"]]
    assert ["plane", "year", "75.0%"] in lines
    assert "Hottest keys: the server counts uses only with maxmemory-policy allkeys-lfu or volatile-lfu." in ended.out
    assert "plane: Mostly without a value, so that the default is what models see: year (75.0%)." in ended.out


@pytest.mark.usefixtures("filled")
def test_a_sample_is_bounded_and_what_is_stored_is_estimated(commands: Commands) -> None:
    (view,) = json.loads(commands.run("doctor", "plane", "--sample", "100", "--json").out)["views"]
    assert (view["sampled"], view["complete"]) == (100, False)


def test_the_hottest_are_told_where_the_server_counts_uses(commands: Commands, server: Server) -> None:
    server.client().config_set("maxmemory-policy", "allkeys-lfu")
    with RedisStore(server.url) as store:
        store.put(PLANE, [EntityRow((f"N{number}",), (1.0, 1), time.time()) for number in range(50)])
        for _ in range(200):
            store.get(PLANE, ["N7"], time.time())
    assert "Hottest of plane: N7 (" in commands.run("doctor", "plane").out


@pytest.mark.usefixtures("filled")
def test_reads_are_timed_for_each_view_and_for_all_and_so_is_telling(commands: Commands, server: Server) -> None:
    ended = commands.run("bench", "--seconds", "0.5", "--json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    lines = document["reads"]
    assert [(line["view"], line["rows"]) for line in lines] == [
        *(("plane", 1), ("plane", 10), ("plane", 100)),
        *[("route", 1)] * 3,
        *(("all 2", 1), ("all 2", 10), ("all 2", 100)),
    ]
    assert all(0 < line["p50_ms"] <= line["p99_ms"] and line["rows_per_s"] > 0 for line in lines)
    telling = document["telling"]
    assert telling["writes"] > 1
    assert 0 < telling["p50_ms"] <= telling["p99_ms"]
    assert server.client().keys("sluice:bench:*") == [], "it leaves nothing behind"
    for_people = commands.run("bench", "plane", "--seconds", "0.05").out
    assert "rows a read" in for_people
    assert "A write is told to near caches within " in for_people


@pytest.mark.usefixtures("filled")
def test_where_nobody_may_write_reads_are_timed_all_the_same(commands: Commands, server: Server) -> None:
    server.client().acl_setuser(
        "default", enabled=True, nopass=True, categories=["+@all"], commands=["-set"], keys=["*"]
    )
    ended = commands.run("bench", "plane", "--seconds", "0.05")
    assert ended.code == 0
    assert "Writes told to near caches: not measured (it answers SET with: NOPERM" in " ".join(ended.out.split())


@pytest.mark.usefixtures("filled")
def test_views_of_feast_are_looked_at_by_the_names_of_their_join_keys(commands: Commands, server: Server) -> None:
    source = FeastSource("p", "stats", (JoinKey("id", "int64"),))
    stats = FeatureView("stats", ("id",), (feature("x"),), feast=source)
    client, start = server.client(), prefix(stats)
    value, stamp = HashRow(stats, source).fields
    for number in range(40):
        fields: dict[Any, bytes] = {stamp: b"\x08\x01"} | (
            {value: b"\x35" + struct.pack("<f", number)} if number % 4 else {}
        )
        # What another view of the same join key knows, and this one does not.
        client.hset(row_key(stats, [number])[len(start) :], mapping={**fields} if number < 20 else {b"else": b""})
    client.set(row_key(stats, [99])[len(start) :], b"no hash")
    client.hset(row_key(replace(stats, feast=replace(source, project="q")), [1])[len(start) :], mapping={value: b""})
    (view,) = json.loads(commands.run("doctor", "stats", "--json").out)["views"]
    assert (view["sampled"], view["rows"], view["complete"]) == (21, 21, True)
    assert view["missing"] == {"x": 0.25}
    assert view["unreadable"] == pytest.approx(1 / 21)
    assert view["decode_us"] > 0
    lines = json.loads(commands.run("bench", "--seconds", "0.05", "--json").out)["reads"]
    assert {line["view"] for line in lines} == {"plane", "route", "stats", "all 3"}


@pytest.mark.usefixtures("filled")
def test_who_watches_sees_that_the_commands_are_at_work_and_who_reads_does_not(commands: Commands) -> None:
    for typed, told in (
        (("doctor", "plane"), ["looking at rows of 1 view"]),
        (("bench", "--seconds", "0.05"), ["reading rows of 3 views", "writing, to see how soon near caches are told"]),
    ):
        watched = commands.watched(*typed)
        assert (watched.code, [text for text in told if text not in watched.err]) == (0, [])
        assert commands.run(*typed).err == ""
        as_json = commands.watched(*typed, "--json")
        assert (as_json.code, as_json.err) == (0, "")


def test_nothing_to_read_and_a_lost_server_are_one_line(commands: Commands, server: Server) -> None:
    assert (
        "No row is stored; `sluice features load FILE --view plane` writes them." in commands.run("doctor", "plane").out
    )
    empty = commands.run("bench", "plane")
    assert (empty.code, empty.err) == (2, "sluice: there is no row to read; `sluice features load` writes some\n")
    feast = commands.run("doctor", "stats")
    assert (feast.code, feast.err) == (0, "")
    assert "No row is stored; Feast writes them (`feast materialize`), as its view 'stats'." in feast.out
    unknown = commands.run("bench", "ship")
    assert (unknown.code, "there is no feature view 'ship'" in unknown.err) == (2, True)
    server.kill()
    for name in ("doctor", "bench"):
        ended = commands.run(name, "plane")
        assert ended.code == 3
        assert ended.err.startswith("sluice: the features Redis does not answer: ")
        assert len(ended.err.splitlines()) == 1
