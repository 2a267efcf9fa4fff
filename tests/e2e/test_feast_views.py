"""A session over the Redis of somebody who uses Feast: ids in, predictions out, beside rows of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from serving.config.effective import effective
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.testing.models import doubler, save
from tests.e2e.http_client import Reply
from tests.e2e.sluice_up import SluiceUp
from tests.integration.valkey_server import Server
from tests.integration.valkey_server import server as server  # noqa: PLC0414 - a fixture
from tests.unit.features.feast.recorded import PROJECT, recorded

FEAST = {"project": PROJECT, "view": "driver_stats", "join_keys": {"driver": {"type": "int64", "name": "driver_id"}}}
FEATURES = {"i32": "int32", "i64": {"dtype": "int64", "default": 7}, "f32": "float32"}
GUEST = {
    "store": "feast",
    "entity": ["guest"],
    "feast": {"project": PROJECT, "join_keys": {"guest": {"type": "string", "name": "guest_name"}}},
    "features": {"f64": {"dtype": "float32", "default": 9}},
}
VIEWS: dict[str, Any] = {
    "stats": {"store": "feast", "entity": ["driver"], "feast": FEAST, "features": FEATURES},
    # Recorded long ago: nothing of it is young enough.
    "fresh": {"store": "feast", "entity": ["driver"], "max_age": "1s", "feast": FEAST, "features": FEATURES},
    "guest_stats": GUEST,
    "ours": {"entity": ["driver"], "features": {"x": {"default": 1}}},
}
COLUMNS = ["stats.i64", "guest_stats.f64", "ours.x", "fresh.i64"]
DRIVER, GUEST_NAME = 2**63 - 1, "gäst 9"


@pytest.fixture
def session(tmp_path: Path, server: Server) -> Iterator[SluiceUp]:
    save(tmp_path / "models", "doubler", 1, doubler())
    config = tmp_path / "sluice.yaml"
    models = {"doubler": {"inputs": [{"name": "x", "features": COLUMNS}]}}
    config.write_text(json.dumps({"feature_views": VIEWS, "models": models}))
    for row in recorded():
        server.client().hset(row.name, mapping={**row.hash})
    with RedisStore(server.url) as store:
        ours = effective(config, {}, {}).settings.feature_views["ours"].compiled("ours")
        store.put(ours, [EntityRow((DRIVER,), [1.25], 0.0)])
    where = ("--models", str(tmp_path / "models"), "--config", str(config))
    up = SluiceUp(*where, SLUICE_STATE__FEATURES_URL=server.url)
    try:
        yield up.wait_until_ready()
        up.close()
    finally:
        up.destroy()


def ask(session: SluiceUp, *instances: dict[str, Any]) -> Reply:
    with session.connect() as connection:
        return connection.post("/v1/models/doubler:predict", {"instances": list(instances)})


def test_ids_are_answered_from_rows_of_feast_and_of_ours(session: SluiceUp) -> None:
    values = {(row.view.name, *row.entity.values()): row.values for row in recorded()}
    trips, rating = values["driver_stats", DRIVER]["i64"], values["guest_stats", GUEST_NAME]["f64"]
    known, unknown = {"driver": DRIVER, "guest": GUEST_NAME}, {"driver": str(5), "guest": "nobody"}
    reply = ask(session, known, unknown)
    assert reply.status == HTTPStatus.OK
    one, other = reply.json()["predictions"]
    assert one == pytest.approx([2 * trips, 2 * rating, 2.5, 2 * 7])
    assert other == [14, 18, 2, 14]
    degraded = set(reply.headers["x-sluice-degraded"].split(", "))
    assert degraded == {
        "fresh=stale",
        "stats=not_found",
        "guest_stats=not_found",
        "ours=not_found",
        "fresh=not_found",
    }


def test_an_id_that_feasts_key_cannot_be_is_refused_by_its_place(session: SluiceUp) -> None:
    reply = ask(session, {"driver": DRIVER, "guest": GUEST_NAME}, {"driver": "N1", "guest": GUEST_NAME})
    assert reply.status == HTTPStatus.BAD_REQUEST
    assert reply.error == (
        "instances[1]: field 'driver' must be a whole number, since Feast's join key is int64; got 'N1'"
    )
