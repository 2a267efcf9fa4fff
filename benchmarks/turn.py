"""A contender's turn in a round: started alone, checked, warmed, loaded, and ended before the next one starts."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import h2load, stages, wrk
from benchmarks.asking import port_for
from benchmarks.check import check
from benchmarks.contenders import Contender
from benchmarks.encodings import GrpcMessages
from benchmarks.load import Load
from benchmarks.server import Server
from benchmarks.summary import Cell
from benchmarks.workload import Workload


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and with how many connections; `bodies` holds each workload's request as a file."""

    seconds: float
    warm_s: float
    connections: tuple[int, ...]
    models: Path
    bodies: dict[str, Path]


def take(
    contender: Contender, workloads: list[Workload], round_number: int, plan: Plan
) -> tuple[dict[str, Any], list[Cell]]:
    """What happened, and the cells measured; a contender that fails or answers wrongly has no cells and says why."""
    turn: dict[str, Any] = {"contender": contender.name, "round": round_number, "problem": None}
    cells: list[Cell] = []
    server = Server(contender, plan.models)
    try:
        turn["ready_s"] = server.wait_ready(workloads[0])
        for workload in workloads:
            if contender.computes:
                _check(server, workload, turn)
            cells += _measure(server, contender, workload, plan)
        turn["memory_mb"] = round(server.memory_mb())
    except RuntimeError as problem:
        turn["problem"] = str(problem)
    finally:
        turn["forced_to_end"] = server.stop()
    for cell in cells:
        cell["round"] = round_number
    return turn, cells


def _check(server: Server, workload: Workload, turn: dict[str, Any]) -> None:
    seen = check(port_for(server, workload), workload)
    turn.setdefault("checked", {})[workload.name] = seen.as_json()
    if not seen.good:
        raise RuntimeError(f"{seen.wrong} wrong and {seen.failed} failed answers to {workload.name}: {seen.examples}")


def _measure(server: Server, contender: Contender, workload: Workload, plan: Plan) -> list[Cell]:
    connections_of_it = workload.connections or plan.connections
    _load(server, workload, plan, max(connections_of_it), plan.warm_s)
    cells = []
    ours = contender.family == "sluice"
    before = stages.scrape(server.metrics_port) if ours else {}
    for connections in connections_of_it:
        cell = _cell(server, workload, plan, connections)
        if ours:
            after = stages.scrape(server.metrics_port)
            cell["stages"] = stages.since(before, after)
            before = after
        cells.append({"contender": contender.name, "workload": workload.name, **cell})
    return cells


def _load(server: Server, workload: Workload, plan: Plan, connections: int, seconds: float) -> Load:
    url = f"http://127.0.0.1:{port_for(server, workload)}{workload.path}"
    apply = h2load.apply if isinstance(workload.encoding, GrpcMessages) else wrk.apply
    return apply(url, plan.bodies[workload.name], workload.encoding.headers(workload), connections, seconds)


def _cell(server: Server, workload: Workload, plan: Plan, connections: int) -> Cell:
    server_before, client_before, busy_before = server.cpu_s(), children_cpu_s(), busy_s()
    began = time.monotonic()
    load = _load(server, workload, plan, connections, plan.seconds)
    took = time.monotonic() - began
    server_s, client_s = server.cpu_s() - server_before, children_cpu_s() - client_before
    return {
        "connections": connections,
        "per_second": load.per_second,
        "p50_us": load.p50_us,
        "p90_us": load.p90_us,
        "p99_us": load.p99_us,
        "max_us": load.max_us,
        "requests": load.requests,
        "failed": load.failed,
        "late": load.late,
        "errors": load.errors,
        "answer_bytes": load.answer_bytes,
        "server_cpu_us": server_s / max(1, load.requests) * 1e6,
        "server_cores": server_s / took,
        "client_cores": client_s / took,
        # What neither side used: anything else that ran meanwhile, the kernel's work for the loopback included.
        "other_cores": max(0.0, (busy_s() - busy_before - server_s - client_s) / took),
    }


def children_cpu_s() -> float:
    """CPU seconds of the load generators that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def busy_s() -> float:
    """CPU seconds of everything on this machine since it started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait)
