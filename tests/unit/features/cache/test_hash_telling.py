"""What is told of Feast's hashes becomes what is looked up of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from serving.features.cache.hash_telling import HashTelling
from serving.features.keys import prefix, row_key
from tests.unit.features.feast.recorded import view_of

STATS, TRIPS = view_of("stats", {"driver_id": "int64"}), view_of("trips", {"driver_id": "int64"})
ZONES = view_of("zones", {"driver_id": "int64", "zone": "string"})


class Told:
    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.words: list[object] = []

    def invalidate(self, keys: Sequence[bytes]) -> None:
        self.keys += keys

    def flush(self) -> None:
        self.words.append("flush")

    def trust(self, *, heard: bool) -> None:
        self.words.append(heard)


def test_a_hash_is_a_row_of_each_view_with_its_join_keys_and_of_no_other() -> None:
    told = Told()
    telling = HashTelling([STATS, TRIPS, ZONES], told)
    assert len(telling.prefixes) == 2
    rows = [row_key(view, [7]) for view in (STATS, TRIPS)]
    name = rows[0][len(prefix(STATS)) :]
    assert name.startswith(telling.prefixes[0])
    telling.invalidate([name, b"sluice:f:packed:1:A"])
    assert told.keys == [*rows, b"sluice:f:packed:1:A"]


def test_a_hash_of_another_project_is_nobodys_row() -> None:
    told = Told()
    assert STATS.feast is not None
    other = replace(STATS, feast=replace(STATS.feast, project="another"))
    HashTelling([STATS], told).invalidate([row_key(other, [7])[len(prefix(other)) :]])
    assert told.keys == []


def test_everything_else_is_passed_on() -> None:
    told = Told()
    telling = HashTelling([STATS], told)
    telling.flush()
    telling.trust(heard=True)
    assert told.words == ["flush", True]
