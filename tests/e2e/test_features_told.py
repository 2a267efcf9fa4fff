"""A session tells what became of features, counts it for each version, and transforms as training does."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.config.effective import effective
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.features.transforms.offline import model_columns, model_rows
from serving.testing.models import doubler, save
from tests.e2e.http_client import Reply
from tests.e2e.parts import until
from tests.e2e.scrape import told
from tests.e2e.sluice_up import SluiceUp
from tests.integration.valkey_server import Server

FEATURES: list[Any] = ["row.a", {"cyclic": "request.hour", "period": 24}, {"hash": "request.browser", "buckets": 100}]
CONFIG = {
    "http": {"return_features": "token"},
    "feature_views": {"row": {"entity": ["id"], "max_age": "1h", "features": {"a": {"default": 3.0}}}},
    "models": {
        "doubler": {"inputs": [{"name": "x", "features": FEATURES}], "request_defaults": {"browser": "none"}},
    },
}
KNOWN, OLD, UNKNOWN = ({"id": number, "hour": 17.5} for number in (1, 2, 3))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    folder = tmp_path_factory.mktemp("told")
    save(folder / "models", "doubler", 1, doubler())
    config = folder / "sluice.yaml"
    config.write_text(json.dumps(CONFIG))
    # Short, since a unix socket lives in it.
    home = Path(tempfile.mkdtemp(prefix="told-"))
    store = Server(home)
    store.start()
    where = ("--models", str(folder / "models"), "--config", str(config))
    one = SluiceUp(*where, SLUICE_STATE__FEATURES_URL=store.url)
    view = effective(config, {}, {}).settings.feature_views["row"].compiled("row")
    try:
        with RedisStore(store.url) as rows:
            now = time.time()
            rows.put(view, [EntityRow((1,), [20.0], now - 60), EntityRow((2,), [40.0], now - 7_200)])
        one.wait_until_ready()
        until(lambda: not predict(one, [KNOWN]).headers.get("x-sluice-degraded"), "the row is found")
        yield one
        one.close()
    finally:
        one.destroy()
        store.close()
        shutil.rmtree(home)


def predict(session: SluiceUp, rows: list[Any], token: str = "", **parameters: object) -> Reply:
    with session.connect() as connection:
        body = {"instances": rows, "parameters": parameters}
        return connection.post(
            "/v1/models/doubler:predict", body, {"authorization": f"Bearer {token}"} if token else {}
        )


def made(a: float, browsers: list[str]) -> list[list[float]]:
    """What the model answers where training makes its rows."""
    count = len(browsers)
    table: dict[str, Any] = {"row.a": [a] * count, "request.hour": [17.5] * count, "request.browser": browsers}
    doubled: list[list[float]] = (2 * model_rows(FEATURES, table).astype(np.float32)).tolist()
    return doubled


def predicted(reply: Reply) -> list[list[float]]:
    """Of the shortest decimals, the float32 that they stand for."""
    rows: list[list[float]] = np.array(reply.json()["predictions"], np.float32).tolist()
    return rows


def test_one_row_and_many_are_what_training_makes_of_them(session: SluiceUp) -> None:
    assert predicted(predict(session, [KNOWN])) == made(20, ["none"])
    browsers = [f"browser {number}" for number in range(1_500)]
    answer = predict(session, [{**KNOWN, "browser": browser} for browser in browsers])
    assert predicted(answer) == made(20, browsers)


def test_who_asks_is_told_the_status_and_age_of_each_feature(session: SluiceUp) -> None:
    reply = predict(session, [KNOWN, OLD, UNKNOWN], feature_status=True)
    answer = reply.json()
    known, old, unknown = (one["row.a"] for one in answer["feature_status"])
    assert (known["status"], old["status"], unknown["status"]) == ("PRESENT", "STALE", "NOT_FOUND")
    assert known["age_s"] >= 60
    assert old["age_s"] >= 7_200
    assert (unknown["age_s"], unknown["filled_by"]) == (None, "default")
    assert predicted(reply)[1:] == made(3, ["none", "none"])


def test_only_the_tokens_owner_sees_the_row(session: SluiceUp) -> None:
    refused = predict(session, [KNOWN], return_features=True)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    token = Path(str(session.registered()["token_file"])).read_text().strip()
    (row,) = predict(session, [KNOWN], token, return_features=True).json()["features"]
    assert list(row["x"]) == model_columns(FEATURES)
    assert row["x"]["row.a"] == 20


def test_values_are_counted_for_the_version_and_its_role(session: SluiceUp) -> None:
    predict(session, [UNKNOWN])
    counted = told(session)
    of = {"model": "doubler", "version": "1", "variant": "stable", "view": "row", "feature": "a"}
    for status in ("present", "not_found"):
        assert counted.total("sluice_feature_values_total", status=status, **of) >= 1
