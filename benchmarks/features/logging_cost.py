"""What the served-feature log costs: the same server without it, with the usual sample, and with all of it, in turns.

All of them run at once, and only one is asked at a time, so that what slows the machine for a while slows each of them;
the processor time of a turn is that of its server alone.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import wrk
from benchmarks.features.contenders import OFF, Comparison, contender
from benchmarks.features.questions import workloads
from benchmarks.features.shape import Shape
from benchmarks.features.store import running
from benchmarks.markdown import table
from benchmarks.server import Server
from benchmarks.summary import order
from benchmarks.under_load.promises import median_interval
from benchmarks.workload import Workload

SHARES = (0.0, 0.01, 1.0)
CONNECTIONS = 64


def measured(engine: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Requests a second and processor time a request for each share, in rounds of one after the other."""
    asked = Comparison(Shape(), (OFF,), (CONNECTIONS,))
    told: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory(prefix="feat-") as folder, ExitStack() as stack:
        models = Path(folder)
        ids = workloads(asked.shape, models)["ids"]
        body = ids.write_bodies(models)
        stack.enter_context(running(models, asked.shape, asked.layouts))
        servers: dict[str, Server] = {}
        for share in SHARES:
            servers[str(share)] = server = Server(contender(OFF, engine, share), models)
            stack.callback(server.stop)
            server.wait_ready(ids)
            _turn(server, ids, body, 2.0)
        for number in range(rounds):
            names = order(list(servers), number, seed=1)
            told.append({name: _turn(servers[name], ids, body, seconds) for name in names})
    return {"rounds": told, "costs_us": _costs(told)}


def _costs(told: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Microseconds a request more than without the log: median and its interval of 95 %."""
    without, *others = map(str, SHARES)
    costs = {share: [one[share]["cpu_us"] - one[without]["cpu_us"] for one in told] for share in others}
    return {
        share: dict(zip(("median", "low", "high"), median_interval(some), strict=True)) for share, some in costs.items()
    }


def _turn(server: Server, ids: Workload, body: Path, seconds: float) -> dict[str, float]:
    before = server.cpu_s()
    seen = wrk.apply(f"http://127.0.0.1:{server.port}{ids.path}", body, ids.encoding.headers(ids), CONNECTIONS, seconds)
    if seen.failed or seen.late:
        raise RuntimeError(f"{seen.errors}")
    cpu_us = 1e6 * (server.cpu_s() - before) / seen.requests
    return {"per_s": seen.per_second, "cpu_us": cpu_us, "p99_us": seen.p99_us, "requests": seen.requests}


def render(results: dict[str, Any]) -> str:
    """A row for each share."""
    rows = []
    for share in map(str, SHARES):
        figures = {key: median(one[share][key] for one in results["rounds"]) for key in ("per_s", "cpu_us", "p99_us")}
        cost = results["costs_us"].get(share)
        more = "" if cost is None else f"{cost['median']:.1f} ({cost['low']:.1f} to {cost['high']:.1f})"
        row = [f"{float(share):.0%}", f"{figures['per_s']:,.0f}", f"{figures['cpu_us']:.1f}"]
        rows.append([*row, f"{figures['p99_us'] / 1e3:.2f}", more])
    return table(["logged", "requests/s", "CPU us a request", "p99 ms", "CPU us more than without"], rows)
