"""How many batches a replica runs at once: one, two, and as many as it finds, each with a session of its own."""

from __future__ import annotations

import re
import urllib.request
from statistics import median
from typing import Any

from benchmarks.open_loop.questions import questions
from benchmarks.summary import order
from benchmarks.under_load.models import calibrated
from benchmarks.under_load.promises import Promise, at_least, rows_of
from benchmarks.under_load.session import Session, folder, running
from benchmarks.workload import Workload
from loadtests.generator.client import Client
from loadtests.generator.outcomes import figures

SLOTS: tuple[int | str, ...] = (1, 2, "auto")
CALLERS = 16
WARM_S = 3.0
# What a replica finds is to be about as good as the better of both.
WITHIN = 0.9
_FOUND = re.compile(r"^sluice_pool_slots\{[^}]*\} (\S+)", re.MULTILINE)


def measure(engine: str, row_ms: float, rounds: int, seconds: float, seed: int) -> dict[str, Any]:
    """Requests a second of 16 callers, and p50 of one, of a model that takes so long a row however batched."""
    told: list[dict[str, Any]] = []
    others = 0.0
    with folder() as models:
        asked = calibrated(models, "model-bound", row_ms, per_row=True)
        for number in range(rounds):
            for name in order([str(slots) for slots in SLOTS], number, seed):
                slots: int | str = name if name == "auto" else int(name)
                sections = {"pools": {"default": {"num_cpus": 2, "slots": slots}}}
                with running(models, engine, sections, [asked]) as session:
                    told.append({"round": number, "slots": name, **_asked(session, asked, seconds)})
                others = max(others, session.others_cores or 0.0)
    return {"row_ms": row_ms, "rounds": told, "others_cores": others, "promises": rows_of([promised(told)])}


def _asked(session: Session, asked: Workload, seconds: float) -> dict[str, Any]:
    client = Client(session.port, [questions(asked)])
    client.closed_loop(CALLERS, WARM_S)
    many = figures(client.closed_loop(CALLERS, seconds), seconds, 1.0)
    one = figures(client.closed_loop(1, seconds), seconds, 1.0)
    client.close()
    return {
        "found": found(_scraped(session.server.metrics_port)),
        "per_second": many["answered_per_second"],
        "p99_ms": many["right"]["p99_ms"],
        "one_p50_ms": one["right"]["p50_ms"],
    }


def _scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return str(response.read().decode())


def found(exposition: str) -> int:
    """How many batches the pool's replicas run at once; 0 where it is not told."""
    told = _FOUND.search(exposition)
    return round(float(told[1])) if told else 0


def promised(told: list[dict[str, Any]]) -> Promise:
    """`auto` against the better of one and two, within rounds."""
    rate = {(one["round"], one["slots"]): one["per_second"] for one in told}
    rounds = sorted({number for number, _ in rate})
    ratios = [rate[number, "auto"] / max(rate[number, "1"], rate[number, "2"]) for number in rounds]
    return at_least("auto, requests/s to the better of 1 and 2", median(ratios), WITHIN)


HEAD = ["round", "slots", "found", "requests/s, 16 callers", "p99 ms", "p50 ms, one caller"]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each session."""
    return [
        [
            str(one["round"] + 1),
            one["slots"],
            str(one["found"]),
            f"{one['per_second']:,.0f}",
            f"{one['p99_ms']}",
            f"{one['one_p50_ms']}",
        ]
        for one in results["rounds"]
    ]
