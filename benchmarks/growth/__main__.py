"""How Sluice grows with clients, models, rows a request and workers: `python -m benchmarks.growth`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.growth import turn
from benchmarks.growth.page import render
from benchmarks.growth.questions import copies, many_rows
from benchmarks.summary import order
from benchmarks.workload import mlp

RESULTS = Path(__file__).parent.parent / "results" / "growth.json"
CONTENDERS = ("sluice-ray", "sluice-ray-2", "sluice-in-process", "sluice-in-process-2")
METHOD = (
    "In each round every shape of Sluice is started once, in a shuffled order, with 50 copies of the tiny model; its "
    "answers are compared with onnxruntime's, it is warmed, and loaded by one thread of wrk: by 1 to 512 callers that "
    f"ask one model for one row; by {turn.CALLERS} callers that ask 1 to 50 models in turn; by {turn.CALLERS} callers "
    "with 1 to 64 rows a request. Client and server share the cores, nothing is pinned. Figures are medians of the "
    "rounds."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a shape did not come up, failed or answered wrongly; the others are measured all the same."""
    given = _options(arguments)
    results: dict[str, Any] = {
        "began": time.strftime("%Y-%m-%d", time.gmtime()),
        "method": METHOD,
        "machine": machine.facts(),
        "rounds": given.rounds,
        "seconds": given.seconds,
        "problems": [],
        "cells": [],
    }
    with tempfile.TemporaryDirectory(prefix="growth-") as made:
        questions = _questions(Path(made))
        for number in range(given.rounds):
            for name in order(given.only, number, seed=1):
                _turn(name, number, given.seconds, questions, results)
                given.output.write_text(json.dumps(results, indent=1) + "\n")
    print(render(results))
    return 1 if results["problems"] else 0


def _questions(folder: Path) -> turn.Questions:
    repository = folder / "models"
    names = copies(repository, max(turn.MODELS))
    by_rows = {rows: mlp(repository) if rows == 1 else many_rows(repository, rows) for rows in turn.ROWS}
    return turn.Questions(repository, by_rows, names, folder)


def _turn(name: str, number: int, seconds: float, questions: turn.Questions, results: dict[str, Any]) -> None:
    try:
        results["cells"] += turn.take(name, number, seconds, questions)
    except RuntimeError as problem:
        results["problems"].append(f"{name}: {problem}")
    print(f"round {number + 1} {name}: {len(results['cells'])} loads so far", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CONTENDERS))
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if unknown := set(given.only) - set(CONTENDERS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CONTENDERS)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
