"""Rounds over one shape: its rows stored once, then a turn of every contender, in an order shuffled anew."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.features.contenders import Comparison, contender
from benchmarks.features.questions import workloads
from benchmarks.features.store import running
from benchmarks.summary import order
from benchmarks.turn import Plan, take


@dataclass(frozen=True, slots=True)
class Length:
    """Rounds, seconds of each load, and the engine of Sluice."""

    rounds: int
    seconds: float
    engine: str


def compared(asked: Comparison, length: Length) -> dict[str, Any]:
    """Turns and cells; who did not come up or answered wrongly says why, and the others are measured all the same."""
    turns: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    # Short: the sockets below it may have paths of 107 characters.
    with tempfile.TemporaryDirectory(prefix="feat-") as folder:
        models = Path(folder)
        known = workloads(asked.shape, models)
        bodies = {name: workload.write_bodies(models) for name, workload in known.items()}
        plan = Plan(length.seconds, min(2.0, length.seconds), asked.connections, models, bodies)
        with running(models, asked.shape, asked.layouts):
            for number in range(length.rounds):
                for name in order(list(asked.names), number, seed=1):
                    who = contender(name, length.engine)
                    turn, own = take(who, [known[one] for one in who.workloads if one in known], number, plan)
                    turns.append(turn)
                    cells += own
                    print(_line(turn, own), file=sys.stderr, flush=True)
    return {"turns": turns, "cells": cells}


def _line(turn: dict[str, Any], cells: Sequence[dict[str, Any]]) -> str:
    start = f"round {turn['round'] + 1}  {turn['contender']:16s}"
    if turn["problem"]:
        return f"{start} PROBLEM: {turn['problem']}"
    rates = "  ".join(f"{c['workload']} c={c['connections']}: {c['per_second']:,.0f}/s {c['p50_us']} us" for c in cells)
    return f"{start} {rates}"
