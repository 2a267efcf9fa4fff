"""A small model beside a slow one in one pool: what the small one's callers notice."""

from __future__ import annotations

from typing import Any

from benchmarks.encodings import BinaryTensors
from benchmarks.open_loop.questions import questions
from benchmarks.summary import order
from benchmarks.under_load.applying import beside
from benchmarks.under_load.models import calibrated, tiny
from benchmarks.under_load.promises import at_most, median_ratio, rows_of
from benchmarks.under_load.session import folder, running
from loadtests.generator.client import Client
from loadtests.generator.schedule import Phase

RATE = 200.0
# Of one slot's time: what is asked of the slow model, in requests that each would run alone.
SHARES = {"alone": 0.0, "light": 0.3, "busy": 0.9, "flooded": 4.0}
SLO_S = 0.025
TIMES = 3.0


def measure(engine: str, run_ms: float, options: tuple[int, int, float], seed: int) -> dict[str, Any]:
    """Rounds of all shares in an order shuffled anew, ratios within a round; `options` are slots, rounds, seconds."""
    slots, rounds, seconds = options
    told: list[dict[str, Any]] = []
    with folder() as models:
        small, slow = tiny(models, BinaryTensors()), calibrated(models, "slow", run_ms, per_row=False)
        sections = {"pools": {"default": {"slots": slots}}}
        with running(models, engine, sections, [small, slow]) as session:
            client = Client(session.port, [questions(small), questions(slow)])
            beside(client, [Phase("small", RATE, 3.0), Phase("slow", 5.0, 3.0)], seed, SLO_S)
            for number in range(rounds):
                for name in order(list(SHARES), number, seed):
                    rate = max(SHARES[name] * 1e3 / run_ms, 1e-9)
                    streams = [Phase("small", RATE, seconds), Phase("slow", rate, seconds)]
                    of_small, of_slow = beside(client, streams, seed + number, SLO_S)
                    told.append({"round": number, "beside": name, "small": of_small, "slow": of_slow})
            client.close()
    p99 = {(one["round"], one["beside"]): one["small"]["right"]["p99_ms"] for one in told}
    ratios = {name: median_ratio(p99, name, "alone") for name in SHARES if name != "alone"}
    asked = [one["small"] for one in told]
    promises = [at_most(f"small p99 beside {name}, x alone", got, TIMES).of(*asked) for name, got in ratios.items()]
    return {
        "run_ms": run_ms,
        "slots": slots,
        "others_cores": session.others_cores,
        "rounds": told,
        "promises": rows_of(promises),
    }


HEAD = [
    "round",
    "slow model",
    "small p50 ms",
    "small p99 ms",
    "small answers",
    "slow p50 ms",
    "slow answers",
    "late p99 ms",
]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each load."""
    return [
        [
            str(one["round"] + 1),
            one["beside"],
            f"{one['small']['right']['p50_ms']}",
            f"{one['small']['right']['p99_ms']}",
            str(one["small"]["by_status"]),
            f"{one['slow']['right']['p50_ms']}",
            str(one["slow"]["by_status"]),
            f"{one['small']['lateness'].get('p99_ms')}",
        ]
        for one in results["rounds"]
    ]
