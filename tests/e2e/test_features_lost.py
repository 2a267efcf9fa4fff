"""Models that read features answer by their `on_missing` while the store is gone; the others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from serving.config.effective import effective
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.testing.load_client import Load, Question, RunningLoad, running
from serving.testing.models import doubler, save
from tests.e2e.disturbance import Disturbances
from tests.e2e.doubling import LONG, patiently
from tests.e2e.http_client import Reply
from tests.e2e.parts import parts, until
from tests.e2e.scrape import told
from tests.e2e.sluice_up import SluiceUp
from tests.integration.features.slow_proxy import SlowProxy
from tests.integration.valkey_server import Server
from tests.integration.valkey_server import server as server  # noqa: PLC0414 - a fixture

log = logging.getLogger(__name__)

AWAY_S, QUIET_S, ROUNDS = (20.0, 10.0, 3) if LONG else (3.0, 1.0, 1)
SLOW_BY_S = 0.05
COLUMNS = ("a", "b", "c", "d")
INPUTS = [{"name": "x", "features": [f"row.{name}" for name in COLUMNS]}]
VIEW = {
    "entity": ["id"],
    "features": {name: {"default": float(default)} for default, name in enumerate(COLUMNS, start=1)},
}
# More than a read takes while other tests have the processors; and far beyond that: whoever waited for the store would
# be answered 504, and counted as a failure.
READ_MS, DEADLINE_MS = 200, 2_000
CONFIG: dict[str, Any] = {
    # What was read before would be used while the store is away.
    "features": {"near_cache": {"max_mb": 0}},
    "feature_views": {"row": VIEW},
    "models": {
        "lenient": {"inputs": INPUTS, "deadline_ms": DEADLINE_MS},
        "strict": {"inputs": INPUTS, "deadline_ms": DEADLINE_MS, "on_missing": "fail"},
    },
}
NEAR = {**CONFIG, "features": {"near_cache": {"max_mb": 1, "ttl": "1h"}}}
STORED = [20.0, 40.0, 60.0, 80.0]
DEFAULTS = [2.0, 4.0, 6.0, 8.0]


class Session(SluiceUp):
    """Three doublers: `doubler` of tensors, `lenient` and `strict` of features."""

    def __init__(self, folder: Path, features_url: str, config: Mapping[str, Any] = CONFIG, /, **more: str) -> None:
        for name in ("doubler", "lenient", "strict"):
            save(folder / "models", name, 1, doubler())
        self.config = folder / "sluice.yaml"
        # JSON is YAML.
        self.config.write_text(json.dumps(config))
        where = ("--models", str(folder / "models"), "--config", str(self.config))
        more = {"SLUICE_STATE__FEATURES_TIMEOUT_MS": str(READ_MS), **more}
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


class Loads:
    """200 requests a second to each of the three models, and what was answered when."""

    def __init__(self, name: str, port: int, stack: contextlib.ExitStack) -> None:
        self.answers: list[tuple[float, str, str]] = []
        load = partial(Load, port, most=1_000_000, for_s=300, rate=200, callers=16)
        lenient, strict = (partial(_by_entity, model, self._told) for model in ("lenient", "strict"))
        self.lenient, self.strict, self.doubled = (
            stack.enter_context(running(load(question))) for question in (lenient, strict, patiently)
        )
        self.times = Disturbances(name, self.doubled.report)
        self._back_s: list[float] = []
        _under_way(self.lenient, 0.5)

    @contextlib.contextmanager
    def disturbed(self) -> Iterator[None]:
        """The body takes the store away; over when it was away for long enough."""
        with self.times.during(QUIET_S):
            yield
            time.sleep(AWAY_S)
        _under_way(self.lenient, 0.1)

    def back(self, at: float, answer: str) -> None:
        """Note how long after `at` the first such answer came."""
        until(lambda: any(when > at and said == answer for when, _, said in self.answers), f"answers are {answer}")
        self._back_s.append(min(when for when, _, said in self.answers if when > at and said == answer) - at)

    def said(self, model: str) -> Counter[str]:
        return Counter(said for _, name, said in self.answers if name == model)

    def end(self) -> None:
        """No tensor failed, nobody hung, and each answer was one that `on_missing` allows."""
        doubled, lenient, strict = (one.stop() for one in (self.doubled, self.lenient, self.strict))
        log.info("%s; back after %s ms", self.times, [round(each * 1e3) for each in self._back_s])
        log.info(
            "tensors: %s; lenient: %s, %s; strict: %s, %s",
            doubled,
            lenient,
            self.said("lenient"),
            strict,
            self.said("strict"),
        )
        log.info("lenient, in turn: %s", self._in_turn("lenient"))
        assert doubled.failures == [], doubled
        assert lenient.failures == [], lenient
        assert set(strict.by_status()) <= {"503", "404"}, strict
        assert set(self.said("lenient")) <= {"whole", "row=unavailable", "row=not_found"}

    def _in_turn(self, model: str) -> str:
        mine = ((when, said) for when, name, said in self.answers if name == model)
        runs = [(said, [when for when, _ in run]) for said, run in groupby(mine, lambda one: one[1])]
        return ", ".join(f"{len(when)} x {said} in {when[-1] - when[0]:.2f} s" for said, when in runs[:50])

    def _told(self, model: str, status: int, head: str, body: bytes) -> None:
        self.answers.append((time.monotonic(), model, said(status, head, body)))


@pytest.mark.timeout(240)
def test_a_killed_store_that_comes_back_empty_costs_defaults_and_nothing_else(session: Session, server: Server) -> None:
    with _loads("killed", session) as loads:
        for _ in range(ROUNDS):
            with loads.disturbed():
                server.kill()
            answer = session.ask("lenient")
            assert (answer.status, answer.json()) == (200, {"predictions": [DEFAULTS]})
            assert answer.headers["x-sluice-degraded"] == "row=unavailable"
            refused = session.ask("strict")
            assert refused.status == 503
            assert "cannot be read now" in refused.error
            assert int(refused.headers["retry-after"]) >= 1
            # Alerts go by what became of values: it is counted also where nobody got an answer.
            assert told(session).total("sluice_feature_values_total", model="strict", status="unavailable") > 0
            server.start()
            loads.back(time.monotonic(), "row=not_found")
            until(lambda: session.ask("strict").status == 404, "it is known to be empty")
            session.stored(server.url)
            _whole_again(session)


@pytest.mark.timeout(240)
def test_a_stopped_store_holds_nobody_longer_than_one_read(session: Session, server: Server) -> None:
    with _loads("stopped", session) as loads:
        for _ in range(ROUNDS):
            try:
                with loads.disturbed():
                    server.stop()
                assert session.ask("lenient").headers["x-sluice-degraded"] == "row=unavailable"
                assert session.ask("strict").status == 503
                # Seen, and no reason to send requests elsewhere, where the store is away as well.
                with session.connect() as connection:
                    assert connection.get("/v2/health/ready").status == 200
            finally:
                server.signal(signal.SIGCONT)
            loads.back(time.monotonic(), "whole")
            until(lambda: session.ask("strict").status == 200, "it is followed again")
            _whole_again(session)


def _flushed(server: Server) -> None:
    with server.client() as client:
        client.flushall()


def _restarted(server: Server) -> None:
    server.kill()
    server.start()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("emptied", [_flushed, _restarted])
def test_an_emptied_store_is_told_from_one_that_is_away(
    session: Session, server: Server, emptied: Callable[[Server], None]
) -> None:
    with _loads(f"emptied,{emptied.__name__.replace('_', ' ')}", session) as loads:
        for _ in range(ROUNDS):
            with loads.disturbed():
                emptied(server)
            until(lambda: session.ask("lenient").headers.get("x-sluice-degraded") == "row=not_found", "it is empty")
            refused = _until_answered(session, 404)
            assert "the row of id '7' in feature view 'row' does not exist" in refused.error
            stored = time.monotonic()
            session.stored(server.url)
            loads.back(stored, "whole")
            _whole_again(session)


# Beyond the time that a read may take, and within it.
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("timeout_ms", "costs"), [(40, "row=unavailable"), (200, "whole")])
def test_a_slow_store_costs_its_readers_its_time_or_what_they_do_without(
    tmp_path: Path, server: Server, timeout_ms: int, costs: str
) -> None:
    more = {"SLUICE_STATE__FEATURES_TIMEOUT_MS": str(timeout_ms)}
    with _proxy(server) as proxy, _running(Session(tmp_path, proxy.url, **more)) as session:
        session.stored(server.url)
        _whole_again(session)
        with _loads(f"slow, reads of {timeout_ms} ms", session) as loads:
            for _ in range(ROUNDS):
                with loads.disturbed():
                    proxy.delay_s = SLOW_BY_S
                proxy.delay_s = 0.0
                loads.back(time.monotonic(), "whole")
                _whole_again(session)
            assert costs in loads.said("lenient")


def test_the_sessions_own_store_is_started_again_when_it_is_killed(tmp_path: Path) -> None:
    with _running(Session(tmp_path, "embedded")) as session, _loads("its own, killed", session) as loads:
        url = f"unix://{session.run_dir}/features.sock"
        session.stored(url)
        _whole_again(session)
        (valkey,) = parts(session, "features.sock")
        killed = time.monotonic()
        valkey.send_signal(signal.SIGKILL)
        loads.back(killed, "row=unavailable")
        loads.back(killed, "row=not_found")
        session.stored(url)
        _whole_again(session)


def test_rows_that_were_read_before_are_used_while_the_store_is_away_and_told_of(
    tmp_path: Path, server: Server
) -> None:
    with _running(Session(tmp_path, server.url, NEAR)) as session:
        session.stored(server.url)
        _whole_again(session)
        server.kill()
        until(lambda: session.ask("lenient").headers.get("x-sluice-degraded") == "row=stale_used", "it is noticed")
        answer = session.ask("lenient")
        assert (answer.status, answer.json()) == (200, {"predictions": [STORED]})
        # Nothing stands in for anything, so that this one answers as well.
        assert session.ask("strict").headers["x-sluice-degraded"] == "row=stale_used"
        server.start()
        until(lambda: session.ask("lenient").headers.get("x-sluice-degraded") == "row=not_found", "it is read again")
        assert session.ask("lenient").json() == {"predictions": [DEFAULTS]}
        session.stored(server.url)
        _whole_again(session)


def test_deadlines_are_kept_during_a_read_that_does_not_end(tmp_path: Path, server: Server) -> None:
    more = {"SLUICE_STATE__FEATURES_TIMEOUT_MS": "60000"}
    with _running(Session(tmp_path, server.url, **more)) as session:
        session.stored(server.url)
        _whole_again(session)
        server.stop()
        try:
            late = session.ask("lenient", {"x-request-timeout-ms": "10000"})
        finally:
            server.signal(signal.SIGCONT)
        # Half of its time is for the row, the other half for an answer without it.
        assert (late.status, late.headers["x-sluice-degraded"]) == (200, "row=unavailable")
        assert session.ask("doubler", {}).status == 400
        _whole_again(session)


def _until_answered(session: Session, status: int) -> Reply:
    """The first answer of `strict` with that status: a store that has to wait for a core may be away once."""
    replies: list[Reply] = []

    def answered() -> bool:
        replies.append(session.ask("strict"))
        return replies[-1].status == status

    until(answered, f"it is answered {status}")
    return replies[-1]


def _whole_again(session: Session) -> None:
    def whole() -> bool:
        answer = session.ask("lenient")
        return answer.json() == {"predictions": [STORED]} and "x-sluice-degraded" not in answer.headers

    until(whole, "stored values are read again")


@contextlib.contextmanager
def _running(session: Session) -> Iterator[Session]:
    try:
        session.wait_until_ready()
        yield session
        session.close()
    finally:
        session.destroy()


@contextlib.contextmanager
def _loads(name: str, session: Session) -> Iterator[Loads]:
    with contextlib.ExitStack() as stack:
        loads = Loads(name, session.port, stack)
        yield loads
        loads.end()


@contextlib.contextmanager
def _proxy(server: Server) -> Iterator[SlowProxy]:
    """Runs in a thread."""
    proxy = SlowProxy(server.socket, server.socket.with_name("slow.sock"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _by_entity(model: str, told: Callable[[str, int, str, bytes], None], number: int) -> Question:
    del number
    return Question(_path(model), b'{"instances": [{"id": "7"}]}', _right, told=partial(told, model))


def _right(body: bytes) -> bool:
    return json.loads(body)["predictions"] in ([STORED], [DEFAULTS])


def said(status: int, head: str, body: bytes) -> str:
    """`whole`, what the header names beside defaults, or the status of a refusal."""
    if status != HTTPStatus.OK:
        return str(status)
    degraded = head.partition("\r\nx-sluice-degraded: ")[2].partition("\r\n")[0]
    expected = DEFAULTS if degraded else STORED
    return (degraded or "whole") if json.loads(body)["predictions"] == [expected] else "not what the header says"


def _path(model: str) -> str:
    return f"/v1/models/{model}:predict"


def _under_way(load: RunningLoad, for_s: float) -> None:
    now = time.monotonic()
    until(lambda: load.report.good_since(now + for_s), "predictions go on")
