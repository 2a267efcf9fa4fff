"""One server's turn: started with all the models, its answers checked, then loaded in every series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import wrk
from benchmarks.check import check
from benchmarks.contenders import CONTENDERS
from benchmarks.growth.questions import over_models
from benchmarks.load import Load as Measured
from benchmarks.server import Server
from benchmarks.turn import busy_s, children_cpu_s
from benchmarks.workload import Workload

CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
MODELS = (1, 2, 5, 10, 25, 50)
ROWS = (1, 2, 4, 8, 16, 32, 64)
# Where something else than the callers grows.
CALLERS = 64
WARM_S = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """A point of a series: what grew to `size`, what wrk sends, and from how many callers."""

    series: str
    size: int
    rows: int
    callers: int
    file: Path
    workload: Workload


@dataclass(frozen=True, slots=True)
class Questions:
    """The repository, the workloads by their rows, the models' names, and where wrk's files are."""

    repository: Path
    by_rows: dict[int, Workload]
    names: list[str]
    folder: Path

    def loads(self) -> Iterator[Load]:
        """Every point of every series."""
        single = self.by_rows[1]
        body = single.write_bodies(self.folder)
        for clients in CLIENTS:
            yield Load("clients", clients, 1, clients, body, single)
        for models in MODELS:
            path = self.folder / f"models-{models}.paths"
            over_models(single, self.names[:models], path)
            yield Load("models", models, 1, CALLERS, path, single)
        for rows, workload in self.by_rows.items():
            yield Load("rows", rows, rows, CALLERS, workload.write_bodies(self.folder), workload)


def take(name: str, round_number: int, seconds: float, questions: Questions) -> list[dict[str, Any]]:
    """The cells of a contender.

    Raises:
        RuntimeError: it did not come up, or answered wrongly.
    """
    contender = next(contender for contender in CONTENDERS if contender.name == name)
    server = Server(contender, questions.repository)
    try:
        server.wait_ready(questions.by_rows[1])
        for workload in questions.by_rows.values():
            seen = check(server.port, workload)
            if not seen.good:
                raise RuntimeError(f"{seen.wrong} wrong and {seen.failed} failed answers: {seen.examples}")
        loads = list(questions.loads())
        _apply(server, loads[0], WARM_S)
        return [{"contender": name, "round": round_number, **_cell(server, load, seconds)} for load in loads]
    finally:
        server.stop()


def _cell(server: Server, load: Load, seconds: float) -> dict[str, Any]:
    before, ours_before, busy_before = server.cpu_s(), children_cpu_s(), busy_s()
    measured = _apply(server, load, seconds)
    server_s = server.cpu_s() - before
    others_s = busy_s() - busy_before - server_s - (children_cpu_s() - ours_before)
    return {
        "series": load.series,
        "size": load.size,
        "per_second": measured.per_second,
        "rows_per_second": measured.per_second * load.rows,
        "p50_us": measured.p50_us,
        "p99_us": measured.p99_us,
        "failed": measured.failed + measured.late,
        "server_cpu_us": server_s / max(1, measured.requests) * 1e6,
        "other_cores": max(0.0, others_s / seconds),
    }


def _apply(server: Server, load: Load, seconds: float) -> Measured:
    url = f"http://127.0.0.1:{server.port}{load.workload.path}"
    return wrk.apply(url, load.file, load.workload.encoding.headers(load.workload), load.callers, seconds)
