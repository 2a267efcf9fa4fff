"""Every world many times: `python -m benchmarks.canary.run [--quick] [--only WORDS] [--processes 2]`.

A world that is in the results file already is kept, unless it is asked for by `--only`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.canary.other_rules import by_row, rules
from benchmarks.canary.report import render
from benchmarks.canary.worlds import TRIALS, Trial
from serving.rollouts.gate import GateSet
from serving.rollouts.plan import gates_of
from serving.rollouts.simulation import Result, ShippedRule, simulate
from serving.rollouts.world import measured

RESULTS = Path(__file__).parent.parent / "results"
OTHERS = ("thresholds", "peeked z-test", "Kayenta-like")
BY_ROW = "by row"
_OTHER_RUNS = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, keep the results file after each world, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary.run", description="Worlds against rules.")
    parser.add_argument("--quick", action="store_true", help="does everything work? a few runs of each")
    parser.add_argument("--only", default="", help="worlds with these words in their names")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "canary.json")
    given = parser.parse_args(arguments)
    results = _before(given.output)
    with get_context("spawn").Pool(given.processes) as pool:
        for trial in TRIALS:
            if given.only in trial.name if given.only else trial.name not in results["worlds"]:
                results["worlds"][trial.name] = _tried(pool, trial, quick=given.quick)
                given.output.write_text(json.dumps(results, indent=1) + "\n")
                print(trial.name, json.dumps(results["worlds"][trial.name]), file=sys.stderr, flush=True)
    print(render(results))
    return 0


def _before(output: Path) -> dict[str, Any]:
    if output.exists():
        kept: dict[str, Any] = json.loads(output.read_text())
        return kept
    return {"format": 1, "began": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine.facts(), "worlds": {}}


def _tried(pool: Pool, trial: Trial, *, quick: bool) -> dict[str, Any]:
    runs = 8 if quick else trial.runs
    began = time.monotonic()
    results = pool.map(partial(_run, trial.name, ""), range(runs), chunksize=4)
    found = {
        "target": trial.target.words,
        "holds": trial.target.holds(results),
        "shipped": _summary(results, (trial.world.outage or trial.world.fault).from_s),
        "seconds": round(time.monotonic() - began, 1),
        "commit": machine.facts()["commit"],
    }
    # Traffic of keys tells of runs alone.
    as_rows = [BY_ROW] if trial.world.batches and not trial.world.keys else []
    for name in (*(OTHERS if trial.compared else ()), *as_rows):
        others = pool.map(partial(_run, trial.name, name), range(min(runs, _OTHER_RUNS)), chunksize=4)
        found[name] = _summary(others, trial.world.fault.from_s)
    return found


def _run(name: str, rule: str, seed: int) -> Result:
    trial = next(trial for trial in TRIALS if trial.name == name)
    gates = GateSet(gates_of(trial.plan, measured()))
    if rule == BY_ROW:
        gates = by_row(gates)
        return simulate(trial.world, trial.plan, seed, ShippedRule(trial.plan, gates), gates=gates)
    return simulate(trial.world, trial.plan, seed, rules(trial.plan, gates)[rule] if rule else None)


def _summary(results: Sequence[Result], from_s: float) -> dict[str, Any]:
    late = [result.at_s - from_s for result in results if result.at_s >= from_s]
    p50, p95 = (float(np.percentile(late, place)) for place in (50, 95)) if late else (0.0, 0.0)
    return {
        "runs": len(results),
        "ended": Counter(result.phase.value for result in results),
        "reasons": Counter(f"{result.phase.value}: {result.reason}" for result in results),
        "p50_s": p50,
        "p95_s": p95,
    }


if __name__ == "__main__":
    sys.exit(main())
