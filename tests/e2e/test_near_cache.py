"""Rows that workers keep near, in a whole session: what is written through it is predicted with, and nothing older."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.testing.models import doubler, save
from tests.e2e.http_client import Reply
from tests.e2e.scrape import told as counted
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.test_control import token, told

COLUMNS = ("a", "b", "c", "d")
# Only what the features Redis tells of a write can end a row within this test.
CONFIG = {
    "features": {"near_cache": {"max_mb": 1, "ttl": "1h", "negative_ttl": "1h"}},
    "feature_views": {"row": {"entity": ["id"], "features": {name: {"default": 1.0} for name in COLUMNS}}},
    "models": {"doubler": {"inputs": [{"name": "x", "features": [f"row.{name}" for name in COLUMNS]}]}},
}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SluiceUp]:
    save(tmp_path / "models", "doubler", 1, doubler())
    config = tmp_path / "sluice.yaml"
    # JSON is YAML.
    config.write_text(json.dumps(CONFIG))
    one = SluiceUp("--models", str(tmp_path / "models"), "--config", str(config), engine="in-process")
    try:
        yield one.wait_until_ready()
        one.close()
    finally:
        one.destroy()


def test_what_is_written_through_the_control_api_is_what_is_predicted_with_from_then_on(session: SluiceUp) -> None:
    assert _ask(session).headers["x-sluice-degraded"] == "row=not_found"
    for value in (1.5, 2.5, 3.5, 4.5, 5.5):
        before = counted(session)
        _write(session, value)
        # At once: the server told of it before it answered, and both are on this machine.
        for _ in range(10):
            assert _predicts(session, 2 * value)
        after = counted(session)
        hits, told_of = (
            after.total(name, **labels) - before.total(name, **labels)
            for name, labels in (
                ("sluice_near_cache_look_ups_total", {"outcome": "hit"}),
                ("sluice_near_cache_invalidations_total", {}),
            )
        )
        assert hits >= 8
        assert told_of == 1


def _write(session: SluiceUp, value: float) -> None:
    given = {"authorization": f"Bearer {token(session)}"}
    rows = {"rows": [{"key": ["7"], "values": dict.fromkeys(COLUMNS, value)}]}
    assert told(session, "POST", "/api/v1/features/row", rows, **given)[0] == 200


def _ask(session: SluiceUp) -> Reply:
    with session.connect() as connection:
        return connection.post("/v1/models/doubler:predict", {"instances": [{"id": 7}]})


def _predicts(session: SluiceUp, value: float) -> bool:
    answer = _ask(session)
    assert answer.status == 200, answer.body
    return bool(answer.json()["predictions"] == [[value] * len(COLUMNS)])
