"""Components, then peers side by side: rounds in which every contender has one turn, in an order shuffled anew."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import components, feature_server, install, machine
from benchmarks.contenders import CONTENDERS, ROOT, Contender, earlier
from benchmarks.report import render
from benchmarks.summary import Cell, order
from benchmarks.turn import Plan, take
from benchmarks.workload import WORKLOADS, Workload

RESULTS = Path(__file__).parent / "results"
METHOD = (
    "Every contender of a workload gets the same requests, byte for byte: POST of an Open Inference Protocol body "
    "(JSON, or with binary tensors, or as a gRPC message) of one row to the same path, by entity one V1 instance of "
    "four ids, 20,000 of them in turn. Peers "
    "answer with the outputs' values alone, Sluice as the protocol asks. In each round every contender has one "
    "turn, in an order shuffled anew: its processes are started, 200 rows are asked by 16 callers at once and each "
    "answer is compared with onnxruntime fed directly, it is warmed, loaded with wrk or h2load (one thread) at each "
    "number of connections, and ended before the next one starts, so that nothing else of the benchmark runs meanwhile."
    " Client and server share the cores, nothing is pinned. Figures are medians of the rounds; ratios are taken "
    "within a round, then their median; loads with failed answers are left out."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a contender failed or answered wrongly (the others are measured all the same), 130 when stopped."""
    given = _options(arguments)
    if install.main():
        return 1
    if machine.off_main():
        print("warning: this commit is not on main, and the results will name it all the same", file=sys.stderr)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if not given.only:
            components.main(["--quick"] if given.quick else [])
        return _side_by_side(given)
    except KeyboardInterrupt:
        print(f"stopped; the turns that were over are in {given.output}", file=sys.stderr)
        return 130


def _side_by_side(given: argparse.Namespace) -> int:
    contenders = [c for c in given.known if not given.only or c.name in given.only]
    asked = {name for contender in contenders for name in contender.workloads}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as closing:
        models = Path(folder)
        if "entities" in asked.intersection(given.workloads):
            closing.enter_context(feature_server.running(models))
        workloads = [made for name in given.workloads if (made := WORKLOADS[name](models)) is not None]
        plan = _plan(given, models, workloads)
        results = _begin(given, contenders, workloads)
        done = results["rounds"] - given.rounds
        for round_number in range(done, done + given.rounds):
            for name in order([c.name for c in contenders], round_number, given.seed):
                contender = next(c for c in contenders if c.name == name)
                _turn(contender, [w for w in workloads if w.name in contender.workloads], round_number, plan, results)
                _write(given.output, results)
    print(render(results))
    return 1 if any(turn["problem"] for turn in results["turns"]) else 0


def _turn(contender: Contender, asked: list[Workload], round_number: int, plan: Plan, results: dict[str, Any]) -> None:
    if not asked:
        return
    turn, cells = take(contender, asked, round_number, plan)
    results["turns"].append(turn)
    results["cells"] += cells
    print(_line(turn, cells), file=sys.stderr, flush=True)


def _line(turn: dict[str, Any], cells: list[Cell]) -> str:
    start = f"round {turn['round'] + 1}  {turn['contender']:18s}"
    if turn["problem"]:
        return f"{start} PROBLEM: {turn['problem']}"
    rates = "  ".join(f"{c['workload']} c={c['connections']}: {c['per_second']:,.0f}/s {c['p50_us']} us" for c in cells)
    return f"{start} ready in {turn['ready_s']:.1f} s  {rates}"


def _begin(given: argparse.Namespace, contenders: list[Contender], workloads: list[Workload]) -> dict[str, Any]:
    begun: dict[str, Any] = {
        "format": 1,
        "began": time.strftime("%Y-%m-%d", time.gmtime()),
        "quick": given.quick,
        "method": METHOD,
        "machine": machine.facts(),
        "rounds": given.rounds,
        "seconds": given.seconds,
        "seed": given.seed,
        "contenders": {c.name: _facts(c) for c in contenders},
        "workloads": {
            w.name: {"model": w.model, "version": w.version, "body_bytes": len(w.body(0))} for w in workloads
        },
        "turns": [],
        "cells": [],
    }
    if given.append and given.output.exists():
        return continued(json.loads(given.output.read_text()), begun)
    return begun


def _facts(contender: Contender) -> dict[str, str]:
    other = {} if contender.root == ROOT else {"commit": machine.commit(contender.root)}
    return {"title": contender.title, "family": contender.family, **other}


def continued(earlier: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Earlier results with room for more rounds: those of one commit and one length alone can be compared.

    Raises:
        SystemExit: they, or another checkout beside them, are of another commit, or they are of another length.
    """
    known, asked = earlier["contenders"], more["contenders"]
    for what, before, now in (
        ("commit", earlier["machine"]["commit"], more["machine"]["commit"]),
        ("seconds of each load", earlier["seconds"], more["seconds"]),
        *(
            (f"{name} at commit", known[name].get("commit"), asked[name].get("commit"))
            for name in known.keys() & asked.keys()
        ),
    ):
        if before != now:
            raise SystemExit(
                f"--append: the earlier rounds are of {what} {before}, these of {now}; name another --output"
            )
    return earlier | {
        "rounds": earlier["rounds"] + more["rounds"],
        "contenders": known | asked,
        "workloads": earlier["workloads"] | more["workloads"],
    }


def _plan(given: argparse.Namespace, models: Path, workloads: list[Workload]) -> Plan:
    bodies = {workload.name: workload.write_bodies(models) for workload in workloads}
    (models / "answer.json").write_bytes(workloads[0].answer(0) if workloads[0].expected else b"{}")
    return Plan(given.seconds, given.warm, given.connections, models, bodies)


def _write(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new.tmp")
    fresh.write_text(json.dumps(results, indent=1) + "\n")
    fresh.replace(path)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 2 s: does everything work?")
    parser.add_argument("--rounds", type=int, help="5, or 1 with --quick")
    parser.add_argument("--seconds", type=float, help="of each load: 4, or 2 with --quick")
    parser.add_argument("--only", type=_list, default=[], help=f"some of {', '.join(c.name for c in CONTENDERS)}")
    parser.add_argument("--workloads", type=_list, default=list(WORKLOADS), help=f"some of {', '.join(WORKLOADS)}")
    parser.add_argument("--connections", type=lambda text: tuple(map(int, _list(text))), default=(1, 64, 256))
    parser.add_argument("--seed", type=int, default=1, help="of the order of the turns")
    parser.add_argument("--earlier", type=Path, help="an installed checkout of another commit: NAME-earlier, as well")
    parser.add_argument("--output", type=Path, help="the results file")
    parser.add_argument("--append", action="store_true", help="more rounds to those of the results file")
    given = parser.parse_args(arguments)
    given.known = (*CONTENDERS, *(earlier(given.earlier) if given.earlier else ()))
    unknown = set(given.only) - {c.name for c in given.known} | set(given.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    given.rounds = given.rounds or (1 if given.quick else 5)
    given.seconds = given.seconds or (2.0 if given.quick else 4.0)
    given.warm = 1.0 if given.quick else 2.0
    given.output = given.output or RESULTS / ("quick.tmp" if given.quick else "peers.json")
    return given


def _list(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # As with Ctrl-C: the turn's `finally` ends what it started.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
