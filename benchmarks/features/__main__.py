"""What looking features up costs, beside what else people do: `python -m benchmarks.features COMMAND`."""

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

from benchmarks import install, machine
from benchmarks.features import growth, logging_cost, page
from benchmarks.features.contenders import KEEPS, LOOK_UPS, PREDICTIONS
from benchmarks.features.measuring import Length, compared

RESULTS = Path(__file__).parent.parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a contender failed or answered wrongly, 130 when stopped."""
    given = _options(arguments)
    if install.main():
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    facts = {
        "began": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine.facts(),
        "engine": given.engine,
        "rounds_of": given.rounds,
        "seconds": given.seconds,
    }
    try:
        results = {**facts, **_measure(given, facts)}
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    _write(given.output, results)
    print(_rendered(given.command, results))
    return int(any(turn["problem"] for turn in results.get("turns", ())))


def _write(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


def _measure(given: argparse.Namespace, facts: dict[str, Any]) -> dict[str, Any]:
    length = Length(given.rounds, given.seconds, given.engine)
    match given.command:
        case "predictions":
            return compared(PREDICTIONS.of(given.only), length)
        case "look-ups":
            return compared(LOOK_UPS.of(given.only), length)
        case "growth":
            return growth.measured(
                given.series, given.only, length, lambda found: _write(given.output, {**facts, **found})
            )
        case _:
            return logging_cost.measured(given.engine, given.rounds, given.seconds)


def _rendered(command: str, results: dict[str, Any]) -> str:
    match command:
        case "predictions":
            return page.comparison(results, page.PREDICTIONS)
        case "look-ups":
            return page.comparison(results, page.LOOK_UPS)
        case "growth":
            return page.growth(results)
        case _:
            return logging_cost.render(results)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--engine", choices=("ray", "in-process"), default="ray")
    shared.add_argument("--rounds", type=int, help="5; 1 of growth, which has 19 points")
    shared.add_argument("--seconds", type=float, help="of each load: 4; 2 of growth")
    shared.add_argument("--output", type=Path, help="the results file")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("predictions", "by ids, by plain tensors, and as others do it"),
        ("look-ups", "100 entities of 50 features, beside Feast's own server"),
        ("growth", "with entities a request, views, features and keys"),
    ):
        one = commands.add_parser(name, parents=[shared], help=text)
        one.add_argument("--only", type=_list, default=[], help=f"some of {', '.join(KEEPS)}")
        one.add_argument("--series", type=_list, default=[], help=f"some of {', '.join(growth.SERIES)}")
    commands.add_parser("log", parents=[shared], help=logging_cost.__doc__)
    given = parser.parse_args(arguments)
    strange = set(getattr(given, "only", [])) - set(KEEPS) | set(getattr(given, "series", [])) - set(growth.SERIES)
    if strange:
        parser.error(f"unknown: {', '.join(sorted(strange))}")
    given.rounds = given.rounds or (1 if given.command == "growth" else 5)
    given.seconds = given.seconds or (2.0 if given.command == "growth" else 4.0)
    given.output = given.output or RESULTS / f"features-{given.command}.json"
    return given


def _list(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # As with Ctrl-C: what was started is ended on the way out.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
