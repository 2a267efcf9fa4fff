"""Whatever is replaced or upgraded under load, a client that never retries notices nothing.

`SLUICE_LONG=1 pytest tests/e2e/test_zero_drop.py` asks at least 30,000 requests through each change.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count

import psutil
import pytest

from serving.testing.load_client import Load, Report, running
from serving.testing.models import divides, doubler, save
from tests.e2e.configured import Configured
from tests.e2e.doubling import LONG, doubling
from tests.e2e.parts import CONTROL_APP, REPLICA, WORKER, parts, until

log = logging.getLogger(__name__)

RATE = 500 if LONG else 250
REQUESTS = 30_500 if LONG else 750
# Beside other tests a processor may be away for seconds, which is not what is looked for.
DEADLINE_MS = 900 if LONG else 20_000
WORKERS = 2 if LONG else 1
# Changes follow one another as long as it is asked, with so much between two.
PAUSE_S = 4.0 if LONG else 0.5
POOL = {"min_replicas": 1, "max_replicas": 1, "num_cpus": 0.5, "memory_mb": 256}


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configured]:
    """Gateway workers and a pool of one replica on Ray."""
    found = Configured(tmp_path_factory.mktemp("zero"), "ray", **sections())
    try:
        found.session.wait_until_ready()
        yield found
        found.session.close()
    finally:
        found.session.destroy()


def sections(look_us: int = 200, **doubler: object) -> dict[str, object]:
    return {
        "http": {"workers": WORKERS},
        "pools": {"default": POOL | {"look_us": look_us}},
        "models": {"doubler": {"deadline_ms": DEADLINE_MS, **doubler}},
    }


def gateway_workers(configured: Configured, number: int) -> None:
    """`sluice restart` with nothing to follow."""
    before = pids(configured, WORKER)
    configured.done("restart")
    until(lambda: not before & pids(configured, WORKER), "the predecessors end")


def pool_replicas(configured: Configured, number: int) -> None:
    """A new one is started, then the old one goes: by order, and where one of its settings is another."""
    # Another pool may be there, from the changes before.
    default = f"{REPLICA}pool-default:"
    before = pids(configured, default)
    assert before
    if number % 2 == 0:
        configured.done("restart", "--pool", "default")
    else:
        configured.write(**sections(look_us=201 + number % 4))
        configured.done("restart")
    until(lambda: not before & pids(configured, default), "the predecessors end")


def control_app(configured: Configured, number: int) -> None:
    """It ends by a signal, and is started again."""
    (before,) = parts(configured.session, CONTROL_APP)
    before.send_signal(signal.SIGTERM)
    until(lambda: pids(configured, CONTROL_APP) - {before.pid}, "its successor")


def version(configured: Configured, number: int) -> None:
    """The second version is loaded and answers; the first one goes, and next time the other way round."""
    old, new = (1, 2) if number % 2 == 0 else (2, 1)
    save(configured.models, "doubler", new, doubler())
    configured.done("models", "load", "doubler", str(new))
    until(lambda: configured.sluice("models", "pin", "doubler", str(new)).returncode == 0, "the control app is there")
    configured.done("models", "unload", "doubler", str(old))


def configuration(configured: Configured, number: int) -> None:
    """Limits of the model that is asked, and another one that comes with a pool, and leaves it, which ends the pool."""
    apart = number % 2 == 0
    save(configured.models, "added", 1, divides())
    told = sections(deadline_ms=DEADLINE_MS + 1 + number % 2, batching={"max_rows": 32 + number % 2})
    if apart:
        told["pools"] = {"default": POOL, "other": POOL}
        told["models"] = {**dict(told["models"]), "added": {"pool": "other"}}  # type: ignore[call-overload]
    configured.write(**told)
    configured.done("restart")
    facts = configured.ask("GET", "/v2/models/doubler/config").json()
    assert facts["max_batch_size"] == 32 + number % 2


# A configuration that is followed replaces workers too, and tests/e2e/test_rolling_restart.py nothing else.
CHANGES = [*([gateway_workers] if LONG else []), control_app, version, configuration, pool_replicas]


@pytest.mark.timeout(400 if LONG else 180)
@pytest.mark.parametrize("change", CHANGES)
def test_no_request_fails_through_a_change(configured: Configured, change: Callable[[Configured, int], None]) -> None:
    reports, changes = changed_under_load(configured, partial(change, configured))
    asked = sum(report.asked for report in reports.values())
    slowest_s = max(max(report.took_s, default=0.0) for report in reports.values())
    failed = sum(len(report.failures) for report in reports.values())
    log.warning("%s: %d changes, %d of %d failed, slowest %.3f s", change.__name__, changes, failed, asked, slowest_s)
    assert {name: report.failures[:5] for name, report in reports.items() if report.failures} == {}
    assert asked >= REQUESTS


def changed_under_load(configured: Configured, change: Callable[[int], None]) -> tuple[dict[str, Report], int]:
    """Connections that are always used, others that are mostly idle, and a new one for each request."""
    load = partial(Load, configured.session.port, doubling, most=10**6, for_s=300)
    shares = {
        "kept alive": load(rate=RATE * 0.79, callers=48),
        "fresh": load(rate=RATE * 0.2, fresh=True),
        "idle": load(rate=RATE * 0.01, callers=20),
    }
    with ExitStack() as stack:
        loads = {name: stack.enter_context(running(share)) for name, share in shares.items()}
        until(lambda: len(loads["kept alive"].report.good) > RATE // 2, "the load is under way")
        for number in count():
            change(number)
            time.sleep(PAUSE_S)
            if sum(one.report.asked for one in loads.values()) >= REQUESTS:
                break
        return {name: one.stop() for name, one in loads.items()}, number + 1


def pids(configured: Configured, words: str) -> set[int]:
    return {one.pid for one in parts(configured.session, words) if psutil.pid_exists(one.pid)}
