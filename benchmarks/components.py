"""Microseconds of each component, in one process: `python -m benchmarks.components [--quick]`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.parts import Part, parts
from benchmarks.report import components as render
from benchmarks.timing import measure
from benchmarks.workload import mlp

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Time every part, write the results file and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.components", description=__doc__.partition(":")[0])
    parser.add_argument("--quick", action="store_true", help="does everything work? figures mean little")
    parser.add_argument("--output", type=Path, help="the results file")
    given = parser.parse_args(arguments)
    output = given.output or RESULTS / ("components.tmp" if given.quick else "components.json")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as closing:
        workload = mlp(Path(folder))
        measured = [_measured(part, quick=given.quick) for part in parts(Path(folder), workload, closing)]
    results = {
        "format": 1,
        "began": time.strftime("%Y-%m-%d", time.gmtime()),
        "quick": given.quick,
        "machine": machine.facts(),
        "parts": measured,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(render(results))
    return 0


def _measured(part: Part, *, quick: bool) -> dict[str, Any]:
    timing = measure(part.action, least_s=0.005, repeats=3) if quick else measure(part.action)
    return {
        "name": part.name,
        "note": part.note,
        "least_us": timing.least_us / part.per,
        "median_us": timing.median_us / part.per,
        "calls": timing.calls,
    }


if __name__ == "__main__":
    sys.exit(main())
