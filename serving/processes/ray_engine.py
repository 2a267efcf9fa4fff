"""A Ray cluster of the session's own with its pools: started by the supervisor, or by hand from a file.

`python -m serving.processes.ray_engine CHANNEL PARENT` is told what to do over the control channel.
`python -m serving.processes.ray_engine --spec FILE` reads `{"run_dir": DIR, "pools": [...]}`, tells what happens as one
JSON object a line on standard output, and ends at SIGTERM. Either says "ready" when every pool's replicas are up, with
the seconds that each part of the start took.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.pool.pool_spec import PoolSpec, read_pools
from serving.processes import cluster_address, ray_environment
from serving.processes.death import die_with
from serving.processes.engine_channel import EngineChannel
from serving.processes.session_plan import ServedModel
from serving.runtime import low_priority
from serving.telemetry.log import configure_as_told, configure_logging

if TYPE_CHECKING:
    from serving.processes.ray_head import Parts
    from serving.processes.start_message import StartMessage

log = logging.getLogger(__name__)

_STARTED = time.monotonic()
# Serve's own actors ask for none; a replica that replaces a draining one needs room beside it. A rollout's canary may
# take it: room for both would be another idle worker process, which Ray starts for every processor.
_SPARE_CPUS = 1.0
_LOOK_S = 0.5
# A pool that is started under way to its end may load for minutes; nobody waits for that at the end.
_SETTLES_S = 3.0
_ROOM_TO_REPLACE = "a replica is started before the one that it replaces ends: unload or end what else runs"


@dataclass(frozen=True, slots=True)
class Orders:
    """What one engine is told, and where it tells what happens; `obey` begins with orders for pools that run, `settle`
    waits for the last of them.

    `later_cpus` is room for pools that may be started later, `canary_cpus` for a rollout's: a cluster on one machine
    does not grow.
    """

    run_dir: Path
    pools: tuple[PoolSpec, ...]
    stopping: threading.Event
    tell: Callable[..., None]
    obey: Callable[[], None] = lambda: None
    settle: Callable[[], object] = lambda: None
    later_cpus: float = 0.0
    canary_cpus: float = 0.0


class Phases:
    """How long each part of the start took, in seconds."""

    def __init__(self, began: float) -> None:
        self._began = self._last = began
        self.took: dict[str, float] = {}

    def ended(self, name: str) -> None:
        """The part that began with the end of the one before."""
        now = time.monotonic()
        self.took[name] = round(now - self._last, 3)
        self.took["total"] = round(now - self._began, 3)
        self._last = now


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; 0 when all was ended in order."""
    parser = argparse.ArgumentParser(prog="python -m serving.processes.ray_engine")
    parser.add_argument("--spec", type=Path, help="file with the pools to run")
    parser.add_argument("channel", nargs="*", type=int, help="descriptor of the control channel, and the parent's id")
    asked = parser.parse_args(arguments)
    configure_logging()
    stopping = threading.Event()
    _stop_on_signals(stopping)
    if asked.spec is not None:
        return run(_from_file(asked.spec, stopping), _STARTED)
    if len(asked.channel) != 2:  # noqa: PLR2004 - CHANNEL PARENT
        parser.error("either --spec FILE, or CHANNEL PARENT")
    return run(_from_supervisor(asked.channel[0], asked.channel[1], stopping), _STARTED)


def run(orders: Orders, began: float) -> int:
    """Start the cluster and its pools, stay until told to stop, end both."""
    phases = Phases(began)
    ray_environment.prepare(orders.run_dir)
    cluster_address.forget(orders.run_dir)
    # Its imports take half a second, during which the head's start only waits.
    importing = threading.Thread(target=_import_serve, name="imports", daemon=True)
    importing.start()
    from serving.processes import ray_head  # noqa: PLC0415 - ray reads its environment when it is imported

    phases.ended("import ray")
    needed = (
        sum(max(pool.replicas, pool.most_replicas) * pool.num_cpus for pool in orders.pools)
        + orders.later_cpus
        + max(_SPARE_CPUS, orders.canary_cpus)
    )
    try:
        address = ray_head.start(needed, ray_environment.temp_dir(orders.run_dir))
        # Ray puts a handler of its own there that ends the process in the middle of whatever it does.
        _stop_on_signals(orders.stopping)
        phases.ended("ray head")
        ray_environment.stay_with(address)
        cluster_address.tell(orders.run_dir, address)
        importing.join()
        _serve_pools(orders, phases, address)
    except SystemExit:
        # That handler's way to end, before it was replaced.
        orders.stopping.set()
    finally:
        cluster_address.forget(orders.run_dir)
        ray_head.end()
    orders.tell("stopped")
    return 0


def _serve_pools(orders: Orders, phases: Phases, address: str) -> None:
    from serving.processes import ray_head, ray_pools  # noqa: PLC0415 - see `run`

    phases.ended("import serve")
    with _ending_without(ray_head.Parts(), orders.tell):
        ray_pools.deploy(orders.pools, orders.stopping, phases.ended, orders.tell)
        if not orders.stopping.is_set():
            orders.tell("ready", address=address, phases_s=phases.took)
            # Pools are there: whatever changes them from now on does it beside requests.
            low_priority.take()
            orders.obey()
        ray_pools.watch(orders.stopping, orders.tell)
        orders.settle()
        ray_pools.end()


@contextlib.contextmanager
def _ending_without(head: Parts, tell: Callable[..., None]) -> Iterator[None]:
    """End this process as soon as a part of the head is lost.

    Looked at from a thread of its own, since a question to a cluster that lost its head may wait for ever. So would
    asking it to end in order: whoever started this process ends what is left and starts it again.
    """
    left = threading.Event()

    def look() -> None:
        while not left.wait(_LOOK_S):
            if lost := head.lost():
                tell("trouble", text=lost)
                os._exit(1)

    looking = threading.Thread(target=look, name="head", daemon=True)
    looking.start()
    try:
        yield
    finally:
        left.set()
        looking.join()


def _from_file(path: Path, stopping: threading.Event) -> Orders:
    text = path.read_text()
    return Orders(Path(json.loads(text)["run_dir"]), read_pools(text), stopping, _print)


def _from_supervisor(fd: int, parent: int, stopping: threading.Event) -> Orders:
    # Configuration, which --spec has none of.
    from serving.processes.engine_pools import canary_cpus, engine_pools, later_cpus  # noqa: PLC0415
    from serving.processes.start_message import from_json  # noqa: PLC0415
    from serving.processes.table_publisher import publish_first_table  # noqa: PLC0415

    die_with(parent)
    channel = EngineChannel(fd, stopping)
    start = from_json(channel.first())
    configure_as_told(start.config.get("logs", {}))
    channel.listen()
    publish_first_table(start, stopping)
    pools = engine_pools(start)
    orders = Orders(Path(start.run_dir), pools, stopping, channel.tell)
    hosts = _hosts(start, pools)
    return replace(
        orders,
        obey=lambda: channel.obey(hosts),
        settle=lambda: channel.settle(_SETTLES_S),
        later_cpus=later_cpus(start, pools),
        canary_cpus=canary_cpus(start),
    )


def _hosts(start: StartMessage, pools: tuple[PoolSpec, ...]) -> Callable[[dict[str, Any]], None]:
    """Carries out "host": these versions and no others, in pools that run and in others that are started for it.

    A pool that was started for a version ends with its last one, a canary's with its rollout; the others of the
    session's start stay. "room" only says whether there is room for those that would be started. Where `config` is
    told, it holds from then on. "host_beside" takes nothing away: gateways that go by the table before go on. "restart"
    replaces the replicas of one pool.
    """
    from serving.config.placement import is_canary_pool  # noqa: PLC0415 - see _from_supervisor
    from serving.processes.engine_pools import beside, changed_pools, remedy, restarted, room_for  # noqa: PLC0415 - see _from_supervisor

    running = {pool.name: pool for pool in pools}
    kept = frozenset(name for name in running if not is_canary_pool(name))

    def restart(name: str) -> None:
        from serving.processes import ray_pools  # noqa: PLC0415 - see `run`

        pool = restarted(running, name)
        ray_pools.find_room(room_for(running, [pool]), lambda _: _ROOM_TO_REPLACE)
        running[name] = pool
        ray_pools.change([pool])

    def host(asked: dict[str, Any]) -> None:
        nonlocal start
        from serving.processes import ray_pools  # noqa: PLC0415 - see `run`

        if asked["what"] == "restart":
            restart(asked["pool"])
            return
        models = [ServedModel(**served) for served in asked["models"]]
        told = replace(start, config=asked.get("config", start.config))
        changed = changed_pools(running, told, models)
        if asked["what"] == "host_beside":
            changed = beside(running, changed)
        ended = [pool.name for pool in changed if not pool.sources and pool.name not in kept]
        wanted = [pool for pool in changed if pool.name not in ended]
        ray_pools.find_room(room_for(running, wanted), lambda pool: remedy(pool, tuple(running.values())))
        if asked["what"] == "room":
            return
        start = told
        # Known before they are there: what fails on its way is ended like any other.
        running.update({pool.name: pool for pool in changed})
        ray_pools.change(wanted)
        ray_pools.remove(ended)
        for name in ended:
            del running[name]

    return host


def _stop_on_signals(stopping: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())


def _import_serve() -> None:

    import serving.pool.replica  # noqa: F401, PLC0415


def _print(event: str, **facts: object) -> None:
    # One write, so that lines of ours and of children that inherited the descriptor do not mix.
    os.write(1, (json.dumps({"type": event, **facts}) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
