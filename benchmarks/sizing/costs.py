"""What a request costs whom, from the results that were measured: the only place where a size of a fleet begins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.stages import ROWS
from benchmarks.summary import Cell, disturbed

RESULTS = Path(__file__).parent.parent / "results"
# What costs are taken from: the Ray pool alone, of the machine of the other results that the page adds to them.
POOL = "sizing.json"
# A gateway does the same for either model, so that both tell of it.
MODELS = ("mlp", "gbdt")
# Callers at which a worker has no time left: its core is full, and what it answers a second is what a core can do.
FULL = (64, 256)
CPU = "processor time of all processes"
# In the order in which a request comes through them.
STAGES = ("decode", "route", "features", "queue", "run", "encode", "total", CPU)
# Most rows of a batch, `models.<name>.batching.max_rows`.
MAX_ROWS = 64


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of a core. A turn of features is part of `gateway_in_us` for requests by entity."""

    gateway_in_us: float
    gateway_out_us: float
    gateway_batch_us: float
    replica_batch_us: float
    replica_row_us: float

    def worker_us(self, rows: float) -> float:
        """Of a request that runs with so many rows in its batch."""
        return self.gateway_in_us + self.gateway_out_us + self.gateway_batch_us / rows

    def replica_us(self, rows: float) -> float:
        """Likewise."""
        return self.replica_row_us + self.replica_batch_us / rows


@dataclass(frozen=True, slots=True)
class Seen:
    """The middle of what was measured of one contender by so many callers."""

    per_second: float
    rows: float
    cpu_us: float
    p50_us: float
    p99_us: float

    @property
    def core_us(self) -> float:
        """Of the worker's core, which is full."""
        return 1e6 / self.per_second


def read(name: str) -> dict[str, Any]:
    """One file of the results."""
    found: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return found


def seen(cells: Iterable[Cell], contender: str, workloads: Sequence[str], connections: int) -> Seen:
    """Medians over the rounds that nobody disturbed."""
    own = _own(cells, contender, workloads, connections)
    figures = ("per_second", "server_cpu_us", "p50_us", "p99_us")
    rate, cpu_us, p50_us, p99_us = (median(cell[figure] for cell in own) for figure in figures)
    return Seen(rate, _stage(own, ROWS), cpu_us, p50_us, p99_us)


def stages_us(cells: Iterable[Cell], contender: str, workload: str, connections: int) -> dict[str, float]:
    """Of a request, by the stages that the server's own histograms tell; and what all processes used, `CPU`."""
    own = _own(cells, contender, (workload,), connections)
    told = {stage: float(median(cell["stages"][stage] for cell in own)) for stage in own[0]["stages"] if stage != ROWS}
    return {**told, CPU: float(median(cell["server_cpu_us"] for cell in own))}


def costs(peers: dict[str, Any]) -> Costs:
    """Straight lines through two loads: what a batch costs, and what each of its rows adds."""
    cells = peers["cells"]
    some, many = (seen(cells, "sluice-ray", MODELS, callers) for callers in FULL)
    one, full = (_own(cells, "sluice-ray", MODELS, callers) for callers in (1, FULL[0]))
    gateway_batch, gateway_row = line((1 / some.rows, some.core_us), (1 / many.rows, many.core_us))
    out, _ = line((_stage(one, ROWS), _stage(one, "encode")), (_stage(full, ROWS), _stage(full, "encode")))
    # What all processes used, less the worker's core: replicas, and the little that Ray and the supervisor do.
    row, batch = line(*((each.rows, each.rows * (each.cpu_us - each.core_us)) for each in (some, many)))
    return Costs(gateway_row - out, out, gateway_batch, batch, row)


def line(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Slope, and the value at 0."""
    slope = (second[1] - first[1]) / (second[0] - first[0])
    return slope, first[1] - slope * first[0]


def _own(cells: Iterable[Cell], contender: str, workloads: Sequence[str], connections: int) -> list[Cell]:
    found = [
        cell
        for cell in cells
        if cell["contender"] == contender
        and cell["workload"] in workloads
        and cell["connections"] == connections
        and not cell["failed"]
        and not disturbed(cell)
    ]
    if not found:
        raise LookupError(f"no undisturbed load of {contender} by {connections} callers: measure it again")
    return found


def _stage(cells: Iterable[Cell], stage: str) -> float:
    return float(median(cell["stages"][stage] for cell in cells))
