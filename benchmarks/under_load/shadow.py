"""What callers notice of a shadow: their p99 without one, beside one that is equal, and beside one 100 times slower.

Each is a rollout as its users start it, with the stage of a plan that copies a share of the requests.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import onnx
from onnx import numpy_helper

from benchmarks.contenders import PROJECT_PYTHON
from benchmarks.open_loop.questions import questions
from benchmarks.peers.sluice import START
from benchmarks.summary import order
from benchmarks.under_load.applying import beside
from benchmarks.under_load.models import calibrated
from benchmarks.under_load.promises import Promise, at_most, median_ratio, rows_of
from benchmarks.under_load.session import Session, folder, running
from loadtests.generator.client import Client
from loadtests.generator.schedule import Phase
from serving.testing.models import save

MODEL = "shadowed"
ROW_MS = 0.1
SLOWER = 100
RATE = 200.0
PERCENT = 10
SLO_S = 0.025
TIMES = 1.1
_BEGINS_S = 60.0
_SETTLES_S = 3.0


class Kind(NamedTuple):
    """The version that gets copies, none where there is no shadow, and whose replicas it runs in."""

    version: int | None
    isolation: str = "own"


KINDS = {
    "none": Kind(None),
    "equal": Kind(2),
    "slower": Kind(3),
    "equal, shared replicas": Kind(2, "shared"),
}
# Without Ray there are no replicas to have of its own.
IN_PROCESS = {"none": KINDS["none"], "equal": Kind(2, "shared"), "slower": Kind(3, "shared")}


def measure(engine: str, rounds: int, seconds: float, seed: int) -> dict[str, Any]:
    """Rounds of all kinds in an order shuffled anew, ratios within a round."""
    told: list[dict[str, Any]] = []
    kinds = KINDS if engine == "ray" else IN_PROCESS
    with folder() as models:
        asked = calibrated(models, MODEL, ROW_MS, per_row=True)
        _other_versions(models)
        sections = {
            "models": {MODEL: {"routes": {"stable": 1}}},
            "pools": {"default": {"num_cpus": 0.5, "memory_mb": 256}},
        }
        with running(models, engine, sections, [asked]) as session:
            client = Client(session.port, [questions(asked)])
            beside(client, [Phase("asked", RATE, 3.0)], seed, SLO_S)
            for number in range(rounds):
                for name in order(list(kinds), number, seed):
                    with _shadowing(session, client, models, kinds[name]) as copied:
                        (seen,) = beside(client, [Phase("asked", RATE, seconds)], seed + number, SLO_S)
                        told.append({"round": number, "shadow": name, "asked": seen, "copies": copied()})
            client.close()
    return {"rounds": told, "others_cores": session.others_cores, "promises": rows_of(_promises(told))}


def _other_versions(models: Path) -> None:
    """Version 2 is the first one again, version 3 has many times its work for each row."""
    proto = onnx.load(models / MODEL / "1" / "model.onnx")
    save(models, MODEL, 2, proto)
    (rounds,) = (one for one in proto.graph.initializer if one.name == "rounds")
    more = numpy_helper.to_array(rounds) * SLOWER
    rounds.CopyFrom(numpy_helper.from_array(more, "rounds"))
    save(models, MODEL, 3, proto)


@contextmanager
def _shadowing(
    session: Session, client: Client, folder: Path, kind: Kind
) -> Iterator[Callable[[], dict[str, int] | None]]:
    """A rollout in the stage of its shadow, until the end; yields what tells how many were copied, by outcome."""
    if kind.version is None:
        yield lambda: None
        return
    plan = folder / "plan.yaml"
    stage = {"percent": PERCENT, "duration": "1h"}
    # JSON is YAML.
    plan.write_text(json.dumps({"steps": [{"weight": 10}], "shadow": stage, "isolation": kind.isolation}))
    _rollout(session, "start", MODEL, str(kind.version), "--plan", str(plan))
    with ThreadPoolExecutor(1) as pool:
        # What is served is measured first, which takes requests.
        begun = pool.submit(_until_begun, session)
        beside(client, [Phase("before", RATE, _BEGINS_S)], 0, SLO_S, begun.done)
        begun.result()
    try:
        yield lambda: dict(_status(session)["shadow"]["copies"])
    finally:
        _rollout(session, "abort", MODEL)
        time.sleep(_SETTLES_S)


def _until_begun(session: Session) -> None:
    ends = time.monotonic() + _BEGINS_S
    while (seen := _status(session))["phase"] != "shadow":
        if time.monotonic() > ends or seen["over"]:
            raise RuntimeError(f"the stage has not begun: {seen['sentence']}")
        time.sleep(0.5)
    # Its replicas have just come up, which is no part of what a stage costs.
    time.sleep(_SETTLES_S)


def _status(session: Session) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_rollout(session, "status", MODEL, "--json"))
    return found


def _rollout(session: Session, *words: str) -> str:
    line = [str(PROJECT_PYTHON), "-c", START, "rollout", *words, "--http-port", str(session.port)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=_BEGINS_S, check=False)
    if ended.returncode:
        raise RuntimeError(f"sluice rollout {words[0]} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def _promises(told: list[dict[str, Any]]) -> list[Promise]:
    asked = [one["asked"] for one in told]
    p99 = {(one["round"], one["shadow"]): one["asked"]["right"]["p99_ms"] for one in told}
    ratios = {name: median_ratio(p99, name, "none") for _, name in p99 if name != "none"}
    return [at_most(f"p99 beside a shadow: {name}, x without", got, TIMES).of(*asked) for name, got in ratios.items()]


HEAD = ["round", "shadow", "p50 ms", "p99 ms", "answers", "copies", "late p99 ms"]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each load."""
    return [
        [
            str(one["round"] + 1),
            one["shadow"],
            f"{one['asked']['right']['p50_ms']}",
            f"{one['asked']['right']['p99_ms']}",
            str(one["asked"]["by_status"]),
            ", ".join(f"{outcome} {count}" for outcome, count in (one["copies"] or {}).items() if count),
            f"{one['asked']['lateness'].get('p99_ms')}",
        ]
        for one in results["rounds"]
    ]
