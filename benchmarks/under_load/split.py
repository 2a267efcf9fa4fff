"""What a split and its observation cost: one model, all of it to one version, split, and split and observed, in turns.

The tables are published to the control Redis of the one session, so that nothing else differs between the turns.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks import wrk
from benchmarks.encodings import JsonTensors
from benchmarks.model import OUTPUT
from benchmarks.summary import order
from benchmarks.under_load.models import tiny
from benchmarks.under_load.promises import at_least, at_most, median_interval, rows_of
from benchmarks.under_load.session import Session, folder, running
from benchmarks.workload import Workload
from serving.processes.embedded_state import valkey_program
from serving.rollouts.measuring import FINE_BOUNDS_US
from serving.routing.table import Route, RouteTable, Split, Trial, dump, load
from serving.state.table_store import TableStore

MODES = ("whole", "split", "observed")
CONNECTIONS = 64
_CANARY_BP = 1_000
_EDGES = tuple(place / 10 for place in range(1, 10))
# A table is in force within a second, and queues of the one before run empty.
_SETTLES_S = 0.5


class Asked(NamedTuple):
    """The running server, where its routing table is, and what it is asked."""

    session: Session
    control_url: str
    workload: Workload
    body: Path


def measure(engine: str, rounds: int, seconds: float, seed: int) -> dict[str, Any]:
    """Requests a second and processor time a request of each mode, in rounds of one after the other."""
    told: list[dict[str, dict[str, float]]] = []
    with folder() as models, _valkey(models) as url:
        first = tiny(models, JsonTensors())
        shutil.copytree(models / first.model / "1", models / first.model / "2")
        sections = {
            "models": {first.model: {"routes": {"stable": 1}}},
            "state": {"control_url": url, "rollouts": True},
        }
        with running(models, engine, sections, [first]) as session:
            body = models / "body.json"
            body.write_bytes(first.encoding.body(first, 0))
            asked = Asked(session, url, first, body)
            for mode in MODES:
                _turn(asked, mode, 2.0)
            for number in range(rounds):
                modes = order(list(MODES), number, seed)
                told.append({mode: _turn(asked, mode, seconds) for mode in modes})
    return {"rounds": told, "others_cores": session.others_cores, **_compared(told)}


def _compared(told: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    rates = {mode: [one[mode]["per_s"] / one["whole"]["per_s"] for one in told] for mode in MODES[1:]}
    costs = [one["observed"]["cpu_us"] - one["split"]["cpu_us"] for one in told]
    shares = [cost / one["split"]["cpu_us"] for cost, one in zip(costs, told, strict=True)]
    of = {name: median_interval(values) for name, values in {**rates, "cost_us": costs, "share": shares}.items()}
    asked = min(sum(one[mode]["requests"] for one in told) for mode in MODES)
    promises = [
        at_least("requests a second split, x whole (lower end of the interval)", of["split"][1], 0.95),
        at_least("requests a second observed, x whole (lower end of the interval)", of["observed"][1], 0.95),
        at_most("observation, share of a request's processor time (upper end)", of["share"][2], 0.05),
        at_least("requests a side", asked, 200_000),
    ]
    intervals = {name: dict(zip(("median", "low", "high"), found, strict=True)) for name, found in of.items()}
    return {"intervals": intervals, "promises": rows_of(promises)}


def _turn(asked: Asked, mode: str, seconds: float) -> dict[str, float]:
    session, workload = asked.session, asked.workload
    asyncio.run(_publish(asked.control_url, workload.model, mode))
    time.sleep(_SETTLES_S)
    address = f"http://127.0.0.1:{session.port}/v2/models/{workload.model}/infer"
    before = session.server.cpu_s()
    seen = wrk.apply(address, asked.body, workload.encoding.headers(workload), CONNECTIONS, seconds)
    if seen.failed or seen.late:
        raise RuntimeError(f"{mode}: {seen.errors}")
    cpu_us = 1e6 * (session.server.cpu_s() - before) / seen.requests
    return {"per_s": seen.per_second, "cpu_us": cpu_us, "requests": seen.requests}


async def _publish(url: str, model: str, mode: str) -> None:
    store = TableStore(url)
    try:
        # The session publishes its own beside its start, and nobody tells when.
        while (data := await store.current()) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        table = load(data)
        route = _routed(table.routes[model], mode, table.epoch + 1)
        if not await store.publish(dump(RouteTable(table.epoch + 1, {**table.routes, model: route})), table.epoch + 1):
            raise RuntimeError("somebody else publishes routing tables")
    finally:
        await store.stop()


def _routed(route: Route, mode: str, epoch: int) -> Route:
    if mode == "whole":
        return replace(route, splits=(Split("stable", 1, 10_000),), trial=None)
    splits = (Split("stable", 1, 10_000 - _CANARY_BP), Split("canary", 2, _CANARY_BP))
    now_s = time.time()
    trial = Trial(
        f"bench-{epoch}",
        epoch,
        0,
        _CANARY_BP,
        sticky=False,
        began_s=now_s,
        count_from_s=now_s,
        latency_bounds_us=FINE_BOUNDS_US,
        score_output=OUTPUT,
        score_edges=_EDGES,
    )
    return replace(route, splits=splits, salt="bench", trial=trial if mode == "observed" else None)


@contextmanager
def _valkey(where: Path) -> Iterator[str]:
    socket = where / "control.sock"
    flags = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no")
    server = subprocess.Popen([str(valkey_program()), *flags], stdout=subprocess.DEVNULL)
    try:
        yield f"unix://{socket}"
    finally:
        server.terminate()
        server.wait(10)


HEAD = ["round", *(f"{figure} {mode}" for mode in MODES for figure in ("requests/s", "CPU us"))]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each round, and what they come to."""
    rows = [
        [
            str(number + 1),
            *(text for mode in MODES for text in (f"{one[mode]['per_s']:,.0f}", f"{one[mode]['cpu_us']:.1f}")),
        ]
        for number, one in enumerate(results["rounds"])
    ]
    middle = [
        f"{median(one[mode][key] for one in results['rounds']):,.1f}" for mode in MODES for key in ("per_s", "cpu_us")
    ]
    of = results["intervals"]
    rows.append(["median", *middle])
    for name, words in (("split", "x whole"), ("observed", "x whole"), ("cost_us", "us"), ("share", "of a request")):
        found = of[name]
        said = f"{found['median']:.4f} ({found['low']:.4f} to {found['high']:.4f})"
        rows.append([f"{name}, {words}", said, *[""] * (len(HEAD) - 2)])
    return rows
