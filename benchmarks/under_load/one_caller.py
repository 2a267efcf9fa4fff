"""Batching on or off for a single caller: the same model under two names in one server, asked in turns."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

from benchmarks.encodings import JsonTensors
from benchmarks.open_loop.questions import questions
from benchmarks.summary import order
from benchmarks.under_load.models import tiny
from benchmarks.under_load.promises import at_most, median_interval, rows_of
from benchmarks.under_load.session import folder, running
from loadtests.generator.client import Client
from loadtests.generator.outcomes import figures

NAMES = ("batched", "alone")
WITHIN = 1.05


def measure(engine: str, pairs: int, seconds: float, seed: int) -> dict[str, Any]:
    """p50 with the default batches over p50 with `max_rows: 1`, in pairs right after one another."""
    told: list[dict[str, float]] = []
    with folder() as models:
        batched = tiny(models, JsonTensors())
        shutil.copytree(models / batched.model, models / "alone")
        alone = replace(batched, model="alone", name="alone")
        sections = {"models": {"alone": {"batching": {"max_rows": 1}}}}
        with running(models, engine, sections, [batched, alone]) as session:
            client = Client(session.port, [questions(batched), questions(alone)])
            for stream in (0, 1):
                client.closed_loop(1, 2.0, stream=stream)
            for number in range(pairs):
                p50 = {}
                for name in order(list(NAMES), number, seed):
                    outcomes = client.closed_loop(1, seconds, stream=NAMES.index(name))
                    p50[name] = figures(outcomes, seconds, 1.0)["right"]["p50_ms"]
                told.append(p50)
            client.close()
    ratio, low, high = median_interval([pair["batched"] / pair["alone"] for pair in told])
    promise = at_most("p50 batched, x unbatched (upper end of the interval)", high, WITHIN)
    return {
        "pairs": told,
        "ratio": {"median": ratio, "low": low, "high": high},
        "others_cores": session.others_cores,
        "promises": rows_of([promise]),
    }


HEAD = ["pair", "p50 ms batched", "p50 ms unbatched", "ratio"]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each pair, and one for all."""
    rows = [
        [str(number + 1), f"{pair['batched']:.4f}", f"{pair['alone']:.4f}", f"{pair['batched'] / pair['alone']:.4f}"]
        for number, pair in enumerate(results["pairs"])
    ]
    ratio = results["ratio"]
    return [*rows, ["median", "", "", f"{ratio['median']:.4f} ({ratio['low']:.4f} to {ratio['high']:.4f})"]]
