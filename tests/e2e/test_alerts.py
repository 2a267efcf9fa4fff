"""Every alert is provoked on a real Prometheus that scrapes a real session, and clears once that is undone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e import alerts_confined, alerts_on_ray
from tests.e2e import alerts_in_process as in_process
from tests.e2e.parts import until
from tests.e2e.prometheus import BINARY, Prometheus
from tests.e2e.provocation import Fired, Provocation, Watch, provoked, table
from tests.e2e.sluice_up import SluiceUp
from tests.integration.redis_process import RedisCluster, RedisProcess, free_ports

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="needs Debian's package prometheus"),
    pytest.mark.timeout(900),
]
LONG = bool(os.environ.get("SLUICE_LONG"))
only_long = pytest.mark.skipif(not LONG, reason="takes minutes; SLUICE_LONG=1 runs it")
QUIET_S = 15.0 if LONG else 3.0
# Days are too long even for a sixtieth.
SLOW_BY = 720.0
SHORT = (in_process.NO_WORKERS, in_process.DOWN)
REST = (
    in_process.ERRORS,
    in_process.MISSING,
    in_process.CRASHES,
    in_process.ERRORS_SLOW,
    in_process.LATE,
    in_process.LATE_SLOW,
    in_process.AWAY,
    in_process.DEAF,
    in_process.WAITS,
    in_process.FORSAKEN,
    in_process.ROLLED_BACK,
)

Prometheuses = dict[float, Prometheus]
Confinement = tuple[alerts_confined.Confined, SluiceUp, Prometheus]


def _named(one: Provocation) -> str:
    return one.alerts[0]


@pytest.fixture(scope="module")
def seen() -> Iterator[list[Fired]]:
    """What was provoked, told as a table at the end: SLUICE_TABLE names a file for it."""
    fired: list[Fired] = []
    yield fired
    if "SLUICE_TABLE" in os.environ:
        with Path(os.environ["SLUICE_TABLE"]).open("a") as file:
            file.write(table(fired))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SluiceUp]:
    one = SluiceUp(*in_process.write_session(tmp_path_factory.mktemp("alerts")), engine="in-process")
    try:
        one.wait_until_ready()
        in_process.write_row(one)
        with in_process.asked(one, also_slow=LONG):
            yield one
        one.close()
    finally:
        one.destroy()


@contextmanager
def watching(session: SluiceUp, folder: Path, by: float = 60.0) -> Iterator[Prometheus]:
    """A Prometheus that has seen the session."""
    folder.mkdir()
    one = Prometheus(folder, session.metrics_port, by)
    try:
        until(lambda: _sees(one), "Prometheus sees the session")
        yield one
    finally:
        one.close()


def _sees(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.ask("sluice_workers"))
    except OSError:
        return False


@pytest.fixture(scope="module")
def prometheuses(session: SluiceUp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheuses]:
    folder = tmp_path_factory.mktemp("prometheus")
    with watching(session, folder / "minutes") as one, watching(session, folder / "days", SLOW_BY) as other:
        yield {60.0: one, SLOW_BY: other}


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confinement]:
    """A memory and a disk of its own, a cluster of features."""
    if not alerts_confined.possible():
        pytest.skip("this user may not mount anything, not even for itself")
    folder = tmp_path_factory.mktemp("confined")
    cluster = RedisCluster("valkey", folder / "cluster")
    cluster.start()
    place = alerts_confined.Confined(folder, cluster)
    one = place.start()
    try:
        one.wait_until_ready()
        with alerts_confined.asked(one), watching(one, folder / "prometheus") as prometheus:
            yield place, one, prometheus
        one.close()
    finally:
        one.destroy()
        cluster.close()


def test_no_alert_fires_while_all_is_well(prometheuses: Prometheuses) -> None:
    ends = time.monotonic() + QUIET_S
    while time.monotonic() < ends:
        assert {name for one in prometheuses.values() for name in one.firing()} == set()
        time.sleep(1)


@pytest.mark.parametrize("one", SHORT, ids=_named)
def test_an_alert_fires_when_provoked_and_clears(
    one: Provocation, session: SluiceUp, prometheuses: Prometheuses, seen: list[Fired]
) -> None:
    seen += provoked(one, session, prometheuses[one.by])


@only_long
@pytest.mark.parametrize("one", REST, ids=_named)
def test_each_other_alert_fires_when_provoked_and_clears(
    one: Provocation, session: SluiceUp, prometheuses: Prometheuses, seen: list[Fired]
) -> None:
    seen += provoked(one, session, prometheuses[one.by])


@only_long
@pytest.mark.parametrize("number", range(len(alerts_confined.ALERTS)), ids=alerts_confined.ALERTS)
def test_an_alert_of_what_runs_out_fires_when_provoked_and_clears(
    number: int, confined: Confinement, seen: list[Fired]
) -> None:
    place, session, prometheus = confined
    seen += provoked(place.provocations()[number], session, prometheus)


@only_long
def test_a_session_without_its_redis_and_one_without_replicas_is_told_of(tmp_path: Path, seen: list[Fired]) -> None:
    (port,) = free_ports(1)
    control = RedisProcess("valkey", tmp_path / "control", port)
    session = alerts_on_ray.start(tmp_path, f"redis://127.0.0.1:{port}")
    try:
        until(lambda: session.registered().get("metrics_port"), "its metrics have a port")
        session.metrics_port = int(str(session.registered()["metrics_port"]))
        with watching(session, tmp_path / "prometheus") as prometheus:
            fired = Watch(prometheus, ("SluiceNotReady",)).until_all(fire=True, within_s=60)
            control.start()
            cleared = Watch(prometheus, ("SluiceNotReady",)).until_all(fire=False, within_s=60)
            session.wait_until_ready()
            name = "SluiceNotReady"
            seen.append(Fired(name, alerts_on_ray.NOT_READY, 60.0, fired[name], cleared[name]))
            seen += provoked(alerts_on_ray.NO_REPLICA, session, prometheus)
        session.close()
    finally:
        session.destroy()
        control.close()
