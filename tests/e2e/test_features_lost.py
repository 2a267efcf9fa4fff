"""Models that read features answer by their `on_missing` while the store is gone; the others notice nothing."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.config.effective import effective
from serving.features.redis_store import EntityRow, RedisStore
from serving.testing.load_client import Load, Question, RunningLoad, running
from serving.testing.models import doubler, save
from tests.e2e.doubling import LONG, doubling
from tests.e2e.http_client import Reply
from tests.e2e.parts import parts, until
from tests.e2e.sluice_up import SluiceUp
from tests.integration.valkey_server import Server
from tests.integration.valkey_server import server as server  # noqa: PLC0414 - a fixture

AWAY_S = 20.0 if LONG else 3.0
COLUMNS = ("a", "b", "c", "d")
INPUTS = [{"name": "x", "features": [f"row.{name}" for name in COLUMNS]}]
VIEW = {
    "entity": ["id"],
    "features": {name: {"default": float(default)} for default, name in enumerate(COLUMNS, start=1)},
}
# Far beyond the 50 ms of a read: whoever waited for the store would be answered 504, and counted as a failure.
DEADLINE_MS = 400
CONFIG = {
    "feature_views": {"row": VIEW},
    "models": {
        "lenient": {"inputs": INPUTS, "deadline_ms": DEADLINE_MS},
        "strict": {"inputs": INPUTS, "deadline_ms": DEADLINE_MS, "on_missing": "refuse"},
    },
}
STORED = [20.0, 40.0, 60.0, 80.0]
DEFAULTS = [2.0, 4.0, 6.0, 8.0]


class Session(SluiceUp):
    """Three doublers: `doubler` of tensors, `lenient` and `strict` of features."""

    def __init__(self, folder: Path, features_url: str, **more: str) -> None:
        for name in ("doubler", "lenient", "strict"):
            save(folder / "models", name, 1, doubler())
        self.config = folder / "sluice.yaml"
        # JSON is YAML.
        self.config.write_text(json.dumps(CONFIG))
        where = ("--models", str(folder / "models"), "--config", str(self.config))
        super().__init__(*where, SLUICE_STATE__FEATURES_URL=features_url, **more)

    def ask(self, model: str, headers: dict[str, str] | None = None) -> Reply:
        with self.connect() as connection:
            return connection.post(_path(model), {"instances": [{"id": 7}]}, headers)

    def stored(self, url: str) -> None:
        view = effective(self.config, {}, {}).settings.feature_views["row"].compiled("row")
        with RedisStore(url) as store:
            store.put(view, [EntityRow((7,), [value / 2 for value in STORED], time.time())])


@pytest.fixture
def session(tmp_path: Path, server: Server) -> Iterator[Session]:
    with _running(Session(tmp_path, server.url)) as one:
        one.stored(server.url)
        until(lambda: one.ask("strict").status == 200, "the row is found")
        yield one


def test_a_killed_store_that_comes_back_empty_costs_defaults_and_nothing_else(session: Session, server: Server) -> None:
    with _loads(session) as (lenient, doubled):
        server.kill()
        _under_way(lenient, AWAY_S)
        answer = session.ask("lenient")
        assert (answer.status, answer.json()) == (200, {"predictions": [DEFAULTS]})
        assert answer.headers["x-sluice-degraded"] == "row=unavailable"
        refused = session.ask("strict")
        assert refused.status == 503
        assert "cannot be read now" in refused.error
        assert int(refused.headers["retry-after"]) >= 1
        server.start()
        until(lambda: session.ask("lenient").headers["x-sluice-degraded"] == "row=not_found", "it is found again")
        assert session.ask("strict").status == 404
        session.stored(server.url)
        _whole_again(session)
        _under_way(lenient, 1)
        assert doubled.stop().failures == [], doubled.report
        assert lenient.stop().failures == [], lenient.report


def test_a_stopped_store_holds_nobody_longer_than_one_read(session: Session, server: Server) -> None:
    with _loads(session) as (lenient, doubled):
        server.signal(signal.SIGSTOP)
        try:
            _under_way(lenient, AWAY_S)
            assert session.ask("lenient").headers["x-sluice-degraded"] == "row=unavailable"
            assert session.ask("strict").status == 503
        finally:
            server.signal(signal.SIGCONT)
        until(lambda: session.ask("strict").status == 200, "it is followed again")
        _whole_again(session)
        assert doubled.stop().failures == [], doubled.report
        assert lenient.stop().failures == [], lenient.report


def test_an_emptied_store_is_told_from_one_that_is_away(session: Session, server: Server) -> None:
    with _loads(session) as (lenient, doubled):
        with server.client() as client:
            client.flushall()
        answer = session.ask("lenient")
        assert (answer.status, answer.headers["x-sluice-degraded"]) == (200, "row=not_found")
        refused = session.ask("strict")
        assert refused.status == 404
        assert "the row of id '7' in feature view 'row' does not exist" in refused.error
        _under_way(lenient, 1)
        session.stored(server.url)
        _whole_again(session)
        assert doubled.stop().failures == [], doubled.report
        assert lenient.stop().failures == [], lenient.report


def test_the_sessions_own_store_is_started_again_when_it_is_killed(tmp_path: Path) -> None:
    with _running(Session(tmp_path, "embedded")) as session, _loads(session) as (lenient, doubled):
        url = f"unix://{session.run_dir}/features.sock"
        session.stored(url)
        _whole_again(session)
        (valkey,) = parts(session, "features.sock")
        valkey.send_signal(signal.SIGKILL)
        until(lambda: session.ask("lenient").headers.get("x-sluice-degraded") == "row=not_found", "it is back, empty")
        session.stored(url)
        _whole_again(session)
        assert doubled.stop().failures == [], doubled.report
        assert lenient.stop().failures == [], lenient.report


def test_deadlines_are_kept_during_a_read_that_does_not_end(tmp_path: Path, server: Server) -> None:
    more = {"SLUICE_STATE__FEATURES_TIMEOUT_MS": "60000"}
    with _running(Session(tmp_path, server.url, **more)) as session:
        session.stored(server.url)
        _whole_again(session)
        server.signal(signal.SIGSTOP)
        try:
            late = session.ask("lenient", {"x-request-timeout-ms": "100"})
        finally:
            server.signal(signal.SIGCONT)
        assert late.status == 504
        assert session.ask("doubler", {}).status == 400
        _whole_again(session)


def _whole_again(session: Session) -> None:
    until(lambda: session.ask("lenient").json() == {"predictions": [STORED]}, "stored values are read again")
    assert "x-sluice-degraded" not in session.ask("lenient").headers


@contextlib.contextmanager
def _running(session: Session) -> Iterator[Session]:
    try:
        session.wait_until_ready()
        yield session
        session.close()
    finally:
        session.destroy()


@contextlib.contextmanager
def _loads(session: Session) -> Iterator[tuple[RunningLoad, RunningLoad]]:
    """One by entity, one of tensors."""
    load: dict[str, Any] = {"most": 100_000, "for_s": 90, "rate": 200, "callers": 16}
    with (
        running(Load(session.port, _by_entity, **load)) as lenient,
        running(Load(session.port, doubling, **load)) as doubled,
    ):
        _under_way(lenient, 0.5)
        yield lenient, doubled


def _by_entity(number: int) -> Question:
    del number
    return Question(_path("lenient"), b'{"instances": [{"id": "7"}]}', _right)


def _right(body: bytes) -> bool:
    return json.loads(body)["predictions"] in ([STORED], [DEFAULTS])


def _path(model: str) -> str:
    return f"/v1/models/{model}:predict"


def _under_way(load: RunningLoad, for_s: float) -> None:
    now = time.monotonic()
    until(lambda: load.report.good_since(now + for_s), "predictions go on")
