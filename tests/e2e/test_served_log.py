"""A session writes what it served: the rows that its callers can be shown, and the predictions that they got."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from serving.config.effective import effective
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.testing.models import doubler, save
from tests.e2e.parts import until
from tests.e2e.scrape import told
from tests.e2e.sluice_up import SluiceUp
from tests.integration.cli.sluice_command import sluice, sluice_watched
from tests.integration.valkey_server import Server

REQUESTS = 20
COLUMNS = ("row.a", "row.b", "row.c", "request.hour")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "served"


@pytest.fixture
def session(tmp_path: Path, folder: Path) -> Iterator[SluiceUp]:
    save(tmp_path / "models", "doubler", 1, doubler())
    config = tmp_path / "sluice.yaml"
    settings = {
        "http": {"return_features": "token"},
        "features": {"served_log": {"folder": str(folder), "sample": 1.0, "hash_ids": False, "rotate": "1s"}},
        "feature_views": {
            "row": {"entity": ["id"], "features": {"a": {"default": 3.0}, "b": {"default": 5.0}, "c": {"default": 1.0}}}
        },
        "models": {"doubler": {"inputs": [{"name": "x", "features": list(COLUMNS)}]}},
    }
    config.write_text(json.dumps(settings))
    # Short, since a unix socket lives in it.
    home = Path(tempfile.mkdtemp(prefix="served-"))
    store = Server(home)
    store.start()
    where = ("--models", str(tmp_path / "models"), "--config", str(config))
    one = SluiceUp(*where, SLUICE_STATE__FEATURES_URL=store.url)
    view = effective(config, {}, {}).settings.feature_views["row"].compiled("row")
    try:
        with RedisStore(store.url) as rows:
            rows.put(view, [EntityRow((n,), [n, n / 2, 1.0], time.time() - 60) for n in range(0, REQUESTS, 2)])
        one.wait_until_ready()
        yield one
        one.close()
    finally:
        one.destroy()
        store.close()
        shutil.rmtree(home)


def logged(folder: Path) -> list[dict[str, Any]]:
    """Rows of requests that had an id."""
    rows = [row for file in folder.glob("served-*.parquet") for row in pq.read_table(file).to_pylist()]
    return [row for row in rows if row["request_id"]]


def test_the_log_has_the_rows_that_are_shown_and_the_predictions_that_were_got(session: SluiceUp, folder: Path) -> None:
    token = Path(str(session.registered()["token_file"])).read_text().strip()
    answers: dict[str, Any] = {}
    with session.connect() as connection:
        for number in range(REQUESTS):
            instances = [{"id": number, "hour": 7.5}, {"id": number + 1, "hour": 8.5}]
            # One request in four takes the way of those who ask for nothing, which is another one.
            shown: dict[str, Any] = {"parameters": {"return_features": True}} if number % 4 else {}
            body = {"id": f"request {number}", "instances": instances, **shown}
            headers = {"authorization": f"Bearer {token}"} if shown else {}
            answers[f"request {number}"] = connection.post("/v1/models/doubler:predict", body, headers).json()

    until(lambda: len(logged(folder)) == 2 * REQUESTS, "all rows are logged")
    for row in logged(folder):
        answer, instance = answers[row["request_id"]], row["instance"]
        prediction = row["prediction.y"]
        assert prediction == pytest.approx(answer["predictions"][instance])
        values = [row[f"feature.x.{name}"] for name in COLUMNS]
        assert prediction == pytest.approx([2 * value for value in values])
        if "features" in answer:
            given = answer["features"][instance]["x"]
            assert values == [given[name] for name in COLUMNS]
        known = int(row["entity.id"]) % 2 == 0 and int(row["entity.id"]) < REQUESTS
        assert row["status.row.a"] == ("PRESENT" if known else "NOT_FOUND")
        assert (row["age_s.row"] is not None) == known
        assert (row["model"], row["version"], row["variant"]) == ("doubler", 1, "stable")

    def written() -> bool:
        return told(session).total("sluice_served_log_rows_total", outcome="written") >= 2 * REQUESTS

    until(written, "they are counted")
    counted = told(session)
    assert counted.total("sluice_served_log_rows_total", outcome="dropped") == 0


def test_what_became_of_predictions_is_joined_to_the_log_by_the_command(
    session: SluiceUp, folder: Path, tmp_path: Path
) -> None:
    with session.connect() as connection:
        for number in range(3):
            body = {"id": f"r{number}", "instances": [{"id": number, "hour": 7.5}, {"id": number, "hour": 8.5}]}
            assert connection.post("/v1/models/doubler:predict", body).status == 200
    until(lambda: len(logged(folder)) == 6, "all rows are logged")
    late, out = tmp_path / "late.csv", tmp_path / "joined.parquet"
    late.write_text("request_id,instance,minutes\nr0,1,12.5\nr2,0,3\nr9,0,4\n")
    typed = ("features", "join-outcomes", str(folder), "--outcomes", str(late), "--on", "request_id")
    ended = sluice(*typed, "--on", "instance", "--out", str(out))
    assert (ended.code, ended.err) == (0, "")
    found = re.fullmatch(r"2 of (\d+) logged rows have an outcome; they stand in (\S+)\n", ended.out)
    assert found is not None, ended.out
    assert int(found[1]) >= 6
    assert found[2] == str(out)
    rows = pq.read_table(out).sort_by("request_id").to_pylist()
    assert [(row["request_id"], row["instance"], row["outcome.minutes"]) for row in rows] == [
        ("r0", 1, 12.5),
        ("r2", 0, 3.0),
    ]
    assert rows[0]["prediction.y"] == pytest.approx([2 * rows[0][f"feature.x.{name}"] for name in COLUMNS])
    watched = sluice_watched(*typed, "--on", "instance", "--out", str(out), COLUMNS="400")
    assert (watched.code, f"joining {folder} and {late}" in watched.err) == (0, True)

    (first, *_) = sorted(folder.glob("served-*.parquet"))
    for read in (first, late):
        before = read.read_bytes()
        refused = sluice(*typed, "--out", str(read))
        assert refused.err == f"sluice: --out {read}: is a file that is read; name another one\n"
        assert (refused.code, read.read_bytes()) == (2, before)
    wrong = sluice(*typed[:-1], "nothing", "--out", str(out))
    assert (wrong.code, "has no column 'nothing'" in wrong.err) == (1, True)
