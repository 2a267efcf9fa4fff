"""Rows written and read by commands, in a real Valkey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from serving.errors import ConfigInvalid, FeaturesAway, Unavailable
from serving.features.feature_view import FeatureView, feature
from serving.features.packed import Row, Value
from serving.features.store import redis_store
from serving.features.store.redis_store import EntityRow, RedisStore
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration

VIEW = FeatureView("v", ("id",), (feature("x"), feature("n", "int64")), max_age_s=60.0)
NOW_S = 1_700_000_000.0


def test_what_is_put_is_got(server: Server) -> None:
    with RedisStore(server.url) as store:
        store.check()
        rows = [EntityRow((f"N{number}",), (number / 2, None), NOW_S) for number in range(1_234)]
        assert store.put(VIEW, iter(rows)) == 1_234
        found = store.get(VIEW, ["N1233"], NOW_S + 60)
        assert found.status == "present"
        assert found.row is not None
        assert found.row.values == (616.5, None)


def test_a_row_says_why_it_cannot_be_used(server: Server) -> None:
    with RedisStore(server.url) as store:
        store.put(VIEW, [EntityRow(("N1",), (1, 2), NOW_S)])
        assert store.get(VIEW, ["N2"], NOW_S).status == "not_found"
        assert store.get(VIEW, ["N1"], NOW_S + 61).status == "stale"
        changed = replace(VIEW, features=(feature("x"), feature("n", "int32")))
        assert store.get(changed, ["N1"], NOW_S).status == "unreadable"


def test_a_server_that_is_away_or_refuses_is_told(server: Server) -> None:
    with RedisStore(server.url) as store:
        server.client().config_set("maxmemory", "1kb")
        with pytest.raises(Unavailable, match=r"^the features Redis refuses: [^(]*maxmemory"):
            store.put(VIEW, [EntityRow(("N1",), (1, 2), NOW_S)])
        server.kill()
        with pytest.raises(FeaturesAway, match="does not answer"):
            store.get(VIEW, ["N1"], NOW_S)
        with pytest.raises(FeaturesAway, match="does not answer"):
            store.check()


def test_an_address_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        RedisStore("http://:secret@host")
    assert "secret" not in refused.value.message


def test_rows_of_a_view_that_expires_are_forgotten_by_the_server(server: Server) -> None:
    expiring = replace(VIEW, expire_after_s=3_600)
    with RedisStore(server.url) as store:
        store.put(expiring, [EntityRow((f"N{number}",), (1, 2), NOW_S) for number in range(1_234)])
        left_ms = [server.client().pttl(key) for key in server.client().scan_iter()]
        assert len(left_ms) == 1_234
        assert all(3_000_000 < left <= 3_600_000 for left in left_ms)
        # A view that does not expire takes the end away from rows that it replaces.
        store.put(VIEW, [EntityRow(("N1",), (1, 2), NOW_S)])
        assert server.client().pttl(b"sluice:f:v:2:N1") == -1


def test_what_others_write_while_a_value_is_changed_is_not_lost(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = redis_store._changed
    with RedisStore(server.url) as store, RedisStore(server.url) as another:
        store.put(VIEW, [EntityRow(("N1",), (1, 2), NOW_S)])
        others = iter([(0.5, 2), (0.5, 7)])

        def between(view: FeatureView, row: Row | None, changed: Mapping[str, Value]) -> list[Value]:
            if (values := next(others, None)) is not None:
                another.put(VIEW, [EntityRow(("N1",), values, NOW_S)])
            return read(view, row, changed)

        monkeypatch.setattr(redis_store, "_changed", between)
        before = store.change(VIEW, ("N1",), {"x": 3.0}, NOW_S + 61)
        found = store.get(VIEW, ["N1"], NOW_S + 61)
    assert before.row is not None
    assert (before.status, before.row.values) == ("stale", (0.5, 7))
    assert found.row is not None
    assert (found.status, found.row.values) == ("present", (3.0, 7))


def test_who_is_overtaken_at_every_try_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    read = redis_store._changed
    with RedisStore(server.url) as store, RedisStore(server.url) as another:

        def between(view: FeatureView, row: Row | None, changed: Mapping[str, Value]) -> list[Value]:
            another.put(VIEW, [EntityRow(("N1",), (0.5, 2), NOW_S)])
            return read(view, row, changed)

        monkeypatch.setattr(redis_store, "_changed", between)
        with pytest.raises(Unavailable, match=r"others wrote this row of 'v' at each of 100 tries; try again"):
            store.change(VIEW, ("N1",), {"x": 3.0}, NOW_S)
        found = store.get(VIEW, ["N1"], NOW_S)
    assert found.row is not None
    assert found.row.values == (0.5, 2)


def test_a_changed_row_has_the_end_that_its_view_says(server: Server) -> None:
    expiring = replace(VIEW, expire_after_s=3_600)
    with RedisStore(server.url) as store:
        assert store.change(expiring, ("N1",), {"x": 3.0}, NOW_S).status == "not_found"
        assert 3_000_000 < server.client().pttl(b"sluice:f:v:2:N1") <= 3_600_000
        store.change(VIEW, ("N1",), {"n": 4}, NOW_S)
        assert server.client().pttl(b"sluice:f:v:2:N1") == -1
        found = store.get(VIEW, ["N1"], NOW_S)
    assert found.row is not None
    assert found.row.values == (3.0, 4)


def test_two_forms_of_a_view_are_stored_side_by_side_as_generations(server: Server) -> None:
    wider = replace(VIEW, features=(feature("x", "float64"), feature("y")), generation=2)
    with RedisStore(server.url) as store:
        store.put(VIEW, [EntityRow(("N1",), (0.5, 2), NOW_S)])
        store.put(wider, [EntityRow(("N1",), (1.5, 7), NOW_S)])
        before, after = store.get(VIEW, ["N1"], NOW_S), store.get(wider, ["N1"], NOW_S)
    assert before.row is not None
    assert after.row is not None
    assert (before.row.values, after.row.values) == ((0.5, 2), (1.5, 7))
