"""Every way in which a features store fails, with 200 requests a second running, on Valkey and on redis-server.

What callers saw, and how long it took until stored values came back, is logged as the table of docs/features.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from benchmarks.markdown import table
from serving.config.effective import effective
from serving.errors import Unavailable
from serving.features.keys import row_key
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.features.store.slot_map import slot_of
from serving.testing.load_client import Load, Question, running
from tests.e2e.doubling import LONG
from tests.e2e.parts import until
from tests.e2e.test_features_lost import DEFAULTS, STORED, Session, said
from tests.integration.features.slow_proxy import SlowProxy
from tests.integration.redis_process import RedisCluster, RedisProcess, free_ports, kinds

log = logging.getLogger(__name__)

FAULT_S, QUIET_S = (5.0, 2.0) if LONG else (1.5, 0.3)
# Less than the silence after which a server counts as lost, and more than any pause of the worker that reads.
SLOW_BY_S = 0.5
PASSWORD = "right"
WHOLE, AWAY, EMPTY = "whole", "row=unavailable", "row=not_found"


class Store:
    """One server, with a proxy before it where the way to it fails."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack, *, proxied: bool) -> None:
        path = folder / "s.sock"
        options = (f"requirepass {PASSWORD}", f"unixsocket {path}")
        self.server = RedisProcess(kind, folder / "server", free_ports(1)[0], options)
        stack.callback(self.server.close)
        self.server.start(PASSWORD)
        self.direct = f"redis://:{PASSWORD}@127.0.0.1:{self.server.port}"
        self.url = self.direct
        if proxied:
            self.proxy = SlowProxy(path, folder / "p.sock")
            stack.enter_context(on_a_thread(self.proxy))
            self.url = f"unix://:{PASSWORD}@{folder / 'p.sock'}"

    def wrong_password(self) -> None:
        self.server.ask("CONFIG", "SET", "requirepass", "another")
        self.server.password = "another"
        self.server.ask("CLIENT", "KILL", "TYPE", "normal")

    def right_password(self) -> None:
        self.server.ask("CONFIG", "SET", "requirepass", PASSWORD)
        self.server.password = PASSWORD

    def start(self) -> None:
        self.server.start(PASSWORD)

    def emptied(self) -> None:
        self.server.kill()
        self.start()

    def full(self) -> None:
        self.server.ask("CONFIG", "SET", "maxmemory", "1")

    def roomy(self) -> None:
        self.server.ask("CONFIG", "SET", "maxmemory", "0")

    def read_only(self) -> None:
        # Nobody listens there: it goes on with what it has, and takes no writes.
        self.server.ask("REPLICAOF", "127.0.0.1", "1")

    def master(self) -> None:
        self.server.ask("REPLICAOF", "NO", "ONE")

    def slow(self) -> None:
        self.proxy.delay_s = SLOW_BY_S

    def cut(self) -> None:
        self.proxy.cut = True

    def as_it_was(self) -> None:
        self.proxy.delay_s, self.proxy.cut = 0.0, False


@dataclass(frozen=True)
class Fault:
    """What callers may see during it beside stored values, and after `mends` until the row is stored again."""

    name: str
    begins: Callable[[Store], None]
    mends: Callable[[Store], None]
    seen: frozenset[str]
    proxied: bool = False


FAULTS = (
    Fault("killed", lambda s: s.server.kill(), Store.start, frozenset((AWAY, EMPTY))),
    Fault("standing still", lambda s: s.server.stop(), lambda s: s.server.go_on(), frozenset((AWAY,))),
    Fault("restarted empty", Store.emptied, lambda _: None, frozenset((AWAY, EMPTY))),
    Fault("slow by 500 ms", Store.slow, Store.as_it_was, frozenset((AWAY,)), proxied=True),
    Fault("cut in the middle of an answer", Store.cut, Store.as_it_was, frozenset((AWAY,)), proxied=True),
    Fault("another password", Store.wrong_password, Store.right_password, frozenset((AWAY,))),
    Fault("maxmemory reached", Store.full, Store.roomy, frozenset()),
    Fault("read-only", Store.read_only, Store.master, frozenset()),
    Fault("FLUSHALL", lambda s: s.server.ask("FLUSHALL"), lambda _: None, frozenset((EMPTY,))),
)
STATUS = {AWAY: "503", EMPTY: "404", WHOLE: WHOLE}


class Sessions:
    """One for each kind of server, with a proxy and without; started when first asked for."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._started: dict[tuple[str, bool], tuple[Session, Store]] = {}

    def of(self, kind: str, *, proxied: bool) -> tuple[Session, Store]:
        if (kind, proxied) not in self._started:
            folder = self._folder / f"{kind}{proxied:d}"
            folder.mkdir()
            store = Store(kind, folder, self._stack, proxied=proxied)
            # The proxy's 50 ms are then too late.
            more = {"SLUICE_STATE__FEATURES_TIMEOUT_MS": "40"} if proxied else {}
            session = Session(folder, store.url, **more)
            self._stack.callback(session.destroy)
            session.wait_until_ready()
            self._started[kind, proxied] = session, store
        return self._started[kind, proxied]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    with ExitStack() as stack:
        yield Sessions(tmp_path_factory.mktemp("f"), stack)


class Watched:
    """200 requests a second to each of two models, and what was answered when."""

    def __init__(self, port: int, stack: ExitStack, ids: int = 1) -> None:
        self.answers: list[tuple[float, str, int, str]] = []
        load = partial(Load, port, most=1_000_000, for_s=300, rate=200, callers=16)
        self._loads = [
            stack.enter_context(running(load(partial(self._question, model, ids)))) for model in ("lenient", "strict")
        ]

    def said(self, model: str, since: float) -> Counter[str]:
        return Counter(said for when, name, _, said in list(self.answers) if name == model and when >= since)

    def of(self, number: int, since: float) -> Counter[str]:
        """What the lenient model said of one id."""
        mine = (one for one in list(self.answers) if one[0] >= since and one[1:3] == ("lenient", number))
        return Counter(said for *_, said in mine)

    def whole_since(self, moment: float) -> float:
        """When the first stored value came after that."""
        until(lambda: self.said("lenient", moment)[WHOLE] > 0, "stored values come back")
        lenient = (one for one in list(self.answers) if one[0] >= moment and one[1] == "lenient")
        return min(when for when, _, _, said in lenient if said == WHOLE)

    def whole_of(self, number: int, moment: float) -> float:
        """The same of one id."""
        until(lambda: self.of(number, moment)[WHOLE] > 0, "stored values of it come back")
        return min(one[0] for one in list(self.answers) if one[0] >= moment and one[1:] == ("lenient", number, WHOLE))

    def end(self) -> float:
        """The lenient model's p99 in ms; nobody hung, and no value was wrong."""
        lenient, strict = (load.stop() for load in self._loads)
        assert lenient.failures == [], lenient
        assert set(strict.by_status()) <= {"503", "404"}, strict
        (p99_s,) = lenient.percentiles_s([(0.0, time.monotonic())], 0.99)
        return p99_s * 1e3

    def _question(self, model: str, ids: int, number: int) -> Question:
        asked = 7 + number % ids
        body = b'{"instances": [{"id": "%d"}]}' % asked
        return Question(f"/v1/models/{model}:predict", body, _right, told=partial(self._told, model, asked))

    def _told(self, model: str, asked: int, status: int, head: str, body: bytes) -> None:
        self.answers.append((time.monotonic(), model, asked, said(status, head, body)))


@dataclass
class Report:
    """A line for each fault: what callers saw beside stored values, p99, and when those were back, on each server."""

    lines: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, fault: str, kind: str, watched: Watched, p99_ms: float, back_s: float | None) -> None:
        lenient, strict = (watched.said(model, 0) for model in ("lenient", "strict"))
        seen = [
            ", ".join(f"{said.removeprefix('row=')} {count}" for said, count in sorted(found.items()) if said != WHOLE)
            for found in (lenient, strict)
        ]
        back = "" if back_s is None else f"{back_s * 1e3:.0f}"
        self.lines.setdefault(fault, {})[kind] = [*seen, f"{p99_ms:.1f}", back]
        log.info("%s, %s: %s; p99 %.1f ms; back after %s ms", kind, fault, seen, p99_ms, back)

    def table(self) -> str:
        head = ["fault", "server", "callers saw (answers)", "with `fail`", "p99, ms", "back after, ms"]
        return table(head, [[fault, kind, *row] for fault, by in self.lines.items() for kind, row in by.items()])


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    made = Report()
    yield made
    log.info("faults of the features store, each for %g s:\n\n%s", FAULT_S, made.table())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
@pytest.mark.parametrize("kind", kinds())
def test_a_fault_of_the_store_costs_what_on_missing_says_and_heals_by_itself(
    sessions: Sessions, report: Report, kind: str, fault: Fault
) -> None:
    session, store = sessions.of(kind, proxied=fault.proxied)
    session.stored(store.direct)
    until(lambda: session.ask("strict").status == 200, "the row is found")
    with ExitStack() as stack:
        watched = Watched(session.port, stack)
        watched.whole_since(time.monotonic())
        time.sleep(QUIET_S)
        fault.begins(store)
        begun = time.monotonic()
        try:
            time.sleep(FAULT_S)
            if fault.seen:
                until(partial(_felt, watched, fault, begun), "it is felt, and nothing else")
        finally:
            fault.mends(store)
        mended = time.monotonic()
        session.stored(store.direct)
        back_s = watched.whole_since(mended) - mended
        time.sleep(QUIET_S)
        p99_ms = watched.end()
    report.add(fault.name, kind, watched, p99_ms, back_s if fault.seen else None)
    assert set(watched.said("lenient", 0)) <= {WHOLE, *fault.seen}
    assert set(watched.said("strict", 0)) <= {STATUS[one] for one in (WHOLE, *fault.seen)}
    assert watched.said("strict", 0)[WHOLE]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", kinds())
def test_a_lost_node_of_a_cluster_costs_its_own_rows_until_it_is_back(
    tmp_path: Path, report: Report, kind: str
) -> None:
    ids = range(7, 27)
    with ExitStack() as stack:
        cluster = RedisCluster(kind, tmp_path / "c")
        stack.callback(cluster.close)
        cluster.start()
        session = Session(tmp_path, cluster.url)
        stack.callback(session.destroy)
        session.wait_until_ready()
        view = effective(session.config, {}, {}).settings.feature_views["row"].compiled("row")
        _store_all(session, cluster.url, ids)
        lost = {number for number in ids if slot_of(row_key(view, [number])) < 16_384 // 3}
        assert lost
        assert lost < set(ids)
        watched = Watched(session.port, stack, len(ids))
        watched.whole_since(time.monotonic())
        time.sleep(QUIET_S)
        cluster.masters[0].kill()
        time.sleep(FAULT_S)

        def settled() -> bool:
            since = time.monotonic() - FAULT_S / 2
            return all(set(watched.of(number, since)) == {AWAY if number in lost else WHOLE} for number in ids)

        until(settled, "its own rows are away, and no others")
        cluster.masters[0].start(again=True)
        mended = time.monotonic()
        until(partial(_taken, session, cluster.url, ids), "the cluster takes rows again")
        back_s = watched.whole_of(min(lost), mended) - mended
        time.sleep(QUIET_S)
        report.add("one of three nodes of a cluster lost", kind, watched, watched.end(), back_s)
        assert set(watched.said("lenient", 0)) <= {WHOLE, AWAY, EMPTY}
        assert set(watched.said("strict", 0)) <= {WHOLE, "503", "404"}


def _felt(watched: Watched, fault: Fault, begun: float) -> bool:
    """What was answered of late, and asked since it began, is what the fault costs."""
    said = set(watched.said("lenient", max(begun, time.monotonic() - FAULT_S / 2)))
    return bool(said) and said <= fault.seen


def _store_all(session: Session, url: str, ids: range) -> None:
    view = effective(session.config, {}, {}).settings.feature_views["row"].compiled("row")
    with RedisStore(url) as store:
        store.put(view, [EntityRow((number,), [value / 2 for value in STORED], time.time()) for number in ids])


def _taken(session: Session, url: str, ids: range) -> bool:
    try:
        _store_all(session, url, ids)
    except Unavailable:
        # Its slots are taken away from it until the others have heard of it again.
        return False
    return True


@contextlib.contextmanager
def on_a_thread(proxy: SlowProxy) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _right(body: bytes) -> bool:
    return json.loads(body)["predictions"] in ([STORED], [DEFAULTS])
