"""What one core of the load tests' generator can do, beside Locust's own clients: `python -m benchmarks.generator`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks import machine
from benchmarks.generator.clients import CALLERS, CLIENTS, LATE_MS, STEP, ClientFailed, on_core, server
from benchmarks.generator.page import render, target_met
from benchmarks.summary import order
from benchmarks.turn import busy_s, children_cpu_s

RESULTS = Path(__file__).parent.parent / "results" / "generator.json"
METHOD = (
    "The server of known behaviour has one core and answers at once; each client has another core, in a shuffled order "
    "in each round. The open loop sends Poisson arrivals from one process, at rates that are "
    f"{STEP - 1:.0%} apart, until a load is not valid twice: over {LATE_MS:g} ms late at p99, answers that lay unread, "
    f"over 95 % of the core, or an error. Locust's clients are {CALLERS} callers in a closed loop, in one process. "
    "Figures are medians of the rounds."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where the goal is met; 1 where it is not, or a client failed."""
    given = _options(arguments)
    client_core, server_core = sorted(os.sched_getaffinity(0))[-2:]
    results: dict[str, Any] = {
        "began": time.strftime("%Y-%m-%d", time.gmtime()),
        "method": METHOD,
        "machine": machine.facts(),
        "rounds": given.rounds,
        "seconds": given.seconds,
        "problems": [],
        "others_cores": 0.0,
        "turns": [],
    }
    with tempfile.TemporaryDirectory(prefix="generator-") as folder, server(server_core) as (target, process):
        for number in range(given.rounds):
            for name in order(list(CLIENTS), number, seed=1):
                before, began = _others_s(process), time.monotonic()
                with on_core(client_core):
                    _turn(name, number, (target, Path(folder), given.seconds), results)
                others = (_others_s(process) - before) / (time.monotonic() - began)
                results["others_cores"] = max(results["others_cores"], round(others, 2))
                given.output.write_text(json.dumps(results, indent=1) + "\n")
    print(render(results))
    return 0 if target_met(results) and not results["problems"] else 1


def _turn(name: str, number: int, asked: tuple[str, Path, float], results: dict[str, Any]) -> None:
    try:
        measured = CLIENTS[name](*asked)
    except ClientFailed as problem:
        results["problems"].append(f"{name}: {problem}")
        return
    results["turns"].append({"client": name, "round": number, **measured})
    print(f"round {number + 1} {name}: {measured['per_second']:,.0f}/s", file=sys.stderr, flush=True)


def _others_s(server_process: psutil.Process) -> float:
    """What everybody but client and server has used of the cores so far."""
    times = server_process.cpu_times()
    return busy_s() - children_cpu_s() - time.process_time() - times.user - times.system


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if len(os.sched_getaffinity(0)) < 2:  # noqa: PLR2004 - one for each side
        parser.error("client and server need a core each, and there is one")
    return given


if __name__ == "__main__":
    sys.exit(main())
