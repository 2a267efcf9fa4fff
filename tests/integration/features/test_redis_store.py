"""Rows written and read by commands, in a real Valkey."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving.errors import ConfigInvalid, FeaturesAway, Unavailable
from serving.features.feature_view import FeatureView, feature
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


def test_two_forms_of_a_view_are_stored_side_by_side_as_generations(server: Server) -> None:
    wider = replace(VIEW, features=(feature("x", "float64"), feature("y")), generation=2)
    with RedisStore(server.url) as store:
        store.put(VIEW, [EntityRow(("N1",), (0.5, 2), NOW_S)])
        store.put(wider, [EntityRow(("N1",), (1.5, 7), NOW_S)])
        before, after = store.get(VIEW, ["N1"], NOW_S), store.get(wider, ["N1"], NOW_S)
    assert before.row is not None
    assert after.row is not None
    assert (before.row.values, after.row.values) == ((0.5, 2), (1.5, 7))
