"""What Sluice promises under load, one experiment a command; each starts `sluice up` itself and ends it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import machine
from benchmarks.under_load import bulk, memory, neighbours, one_caller, overload, shadow, slots, split, tracing
from benchmarks.under_load.page import EXPERIMENTS, promises, render
from loadtests.generator.validity import RULE

RESULTS = Path(__file__).parent.parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every promise was kept, 1 when one was missed or a load was invalid, 130 when stopped."""
    given = _options(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.strftime("%Y-%m-%d", time.gmtime())
    try:
        measured = _measure(given)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    results = {
        "format": 1,
        "experiment": given.experiment,
        "engine": given.engine,
        "seed": given.seed,
        "began": began,
        "rule": RULE,
        "machine": machine.facts(),
        **measured,
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(results, indent=1) + "\n")
    print(render(results))
    return int(any(promise["verdict"] != "kept" for promise in promises(results)))


def _measure(given: argparse.Namespace) -> dict[str, Any]:  # noqa: PLR0911 - one for each experiment
    match given.experiment:
        case "overload":
            lengths = overload.Lengths(given.seconds, given.step)
            return overload.measure(given.engine, given.models.split(","), given.row_ms, lengths, given.seed)
        case "bulk":
            command = bulk.BY_HAND if given.command == "by-hand" else given.command
            options = (given.rounds, given.seconds, given.rate)
            return bulk.measure(given.engine, given.rows, command, options, given.seed)
        case "neighbours":
            options = (given.slots, given.rounds, given.seconds)
            return neighbours.measure(given.engine, given.run_ms, options, given.seed)
        case "memory":
            return memory.measure(given.engine, given.requests, given.samples)
        case "slots":
            return slots.measure(given.engine, given.row_ms, given.rounds, given.seconds, given.seed)
        case "shadow":
            return shadow.measure(given.engine, given.rounds, given.seconds, given.seed)
        case "split":
            return split.measure(given.engine, given.rounds, given.seconds, given.seed)
        case "tracing":
            return tracing.measure(given.engine, given.without, (given.pairs, given.seconds), given.seed)
        case _:
            return one_caller.measure(given.engine, given.pairs, given.seconds, given.seed)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.under_load", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--engine", choices=("ray", "in-process"), default="ray")
    shared.add_argument("--seed", type=int, default=1, help="of arrivals and of the order of turns")
    shared.add_argument("--output", type=Path, help="the results file")
    commands = parser.add_subparsers(dest="experiment", required=True)
    added = {name: commands.add_parser(name, parents=[shared], help=made.__doc__) for name, made in EXPERIMENTS.items()}
    one = added["overload"]
    one.add_argument("--seconds", type=float, default=60.0, help="of each load")
    one.add_argument("--step", type=float, default=5.0, help="seconds of each step of the search for the peak")
    one.add_argument("--models", default="model-bound,mlp", help="some of model-bound, mlp")
    one.add_argument("--row-ms", type=float, default=1.0, help="what a row of the model-bound model takes")
    one = added["bulk"]
    one.add_argument("--command", default=bulk.COMMAND, help="with {file}, {out}, {model}, {url}, {port}; or by-hand")
    # A million rows take four seconds: of 400 answers the 99th percentile would be the fourth-slowest.
    one.add_argument("--rows", type=int, default=3_000_000, help="of the file")
    one.add_argument("--rounds", type=int, default=5)
    one.add_argument("--seconds", type=float, default=10.0, help="of interactive load without a file")
    one.add_argument("--rate", type=float, default=200.0, help="interactive requests a second")
    one = added["neighbours"]
    one.add_argument("--rounds", type=int, default=5)
    one.add_argument("--seconds", type=float, default=15.0, help="of each load")
    one.add_argument("--run-ms", type=float, default=30.0, help="what a run of the slow model takes")
    one.add_argument("--slots", type=int, default=1, help="of the pool's replica")
    one = added["memory"]
    one.add_argument("--requests", type=int, default=1_000_000)
    one.add_argument("--samples", type=int, default=50, help="looks at the processes, between equal parts")
    one = added["slots"]
    one.add_argument("--row-ms", type=float, default=1.0, help="what a row of the model takes")
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--seconds", type=float, default=10.0, help="of each load")
    one = added["shadow"]
    one.add_argument("--rounds", type=int, default=5)
    one.add_argument("--seconds", type=float, default=15.0, help="of each load")
    one = added["split"]
    one.add_argument("--rounds", type=int, default=12)
    one.add_argument("--seconds", type=float, default=3.0, help="of each mode in a round")
    one = added["tracing"]
    one.add_argument("--pairs", type=int, default=12)
    one.add_argument("--seconds", type=float, default=3.0, help="of each half of a pair")
    one.add_argument(
        "--without", type=Path, help="a checkout whose request path knows no traces, installed and compiled"
    )
    one = added["one-caller"]
    one.add_argument("--pairs", type=int, default=12)
    one.add_argument("--seconds", type=float, default=2.0, help="of each half of a pair")
    given = parser.parse_args(arguments)
    given.output = given.output or RESULTS / f"under-load-{given.experiment}-{given.engine}.json"
    return given


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # As with Ctrl-C: what was started is ended on the way out.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
