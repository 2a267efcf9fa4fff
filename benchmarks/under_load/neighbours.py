"""A small model beside a slow one in one pool: what the small one's callers notice."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from benchmarks.encodings import BinaryTensors
from benchmarks.open_loop.questions import questions
from benchmarks.summary import order, spread
from benchmarks.under_load.another_program import another_program
from benchmarks.under_load.applying import beside
from benchmarks.under_load.models import calibrated, tiny
from benchmarks.under_load.promises import at_most, median_ratio, ratios, rows_of
from benchmarks.under_load.session import folder, running
from loadtests.generator.client import Client
from loadtests.generator.schedule import Phase

RATE = 200.0
# Of one slot's time: what is asked of the slow model, in requests that each would run alone.
SHARES = {"alone": 0.0, "light": 0.3, "busy": 0.9, "flooded": 4.0}
BESIDE = ("light", "busy", "flooded")
# Instead of the slow model: somebody else's program that keeps a core busy as the slow model does where it is `busy`.
STRANGER = "another program"
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
                for name in order([*SHARES, STRANGER], number, seed):
                    rate = max(SHARES.get(name, 0.0) * 1e3 / run_ms, 1e-9)
                    streams = [Phase("small", RATE, seconds), Phase("slow", rate, seconds)]
                    busy = another_program(run_ms / 1e3, SHARES["busy"] * 1e3 / run_ms, seed + number)
                    with busy if name == STRANGER else nullcontext():
                        of_small, of_slow = beside(client, streams, seed + number, SLO_S)
                    told.append({"round": number, "beside": name, "small": of_small, "slow": of_slow})
            client.close()
    p99 = _p99(told)
    asked = [one["small"] for one in told]
    promises = [
        at_most(f"small p99 beside {name}, x alone", median_ratio(p99, name, "alone"), TIMES).of(*asked)
        for name in BESIDE
    ]
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


def method(results: dict[str, Any]) -> str:
    """What was asked, and what a small model waits for beside a slow one."""
    rounds = results["rounds"]
    return (
        f"{RATE:g} requests a second to the small model, {rounds[0]['small']['seconds']:g} s in each of "
        f"{1 + max(one['round'] for one in rounds)} rounds: alone, and beside a model whose run takes "
        f"{results['run_ms']:g} ms and which is asked for {_shares()} of what one slot can run; and beside another "
        "program that has nothing to do with the server and keeps a core busy as the slow model does where it is busy. "
        "What the small one loses beside that is the core's; what it loses beside the slow model above that is the "
        "server's. Not the threads of a session: each version has one of its own, and runs in the thread that "
        "asks. Not the process: long runs have a thread and a slot of their own (`serving/pool/aside.py` in a replica) "
        "and leave the interpreter to others; who waited for one would wait for up to "
        f"{results['run_ms']:g} ms, as with the first run of each size, which nobody knows to be long yet."
    )


def lines(results: dict[str, Any]) -> list[list[str]]:
    """A row for each load, and one for all rounds of each share."""
    return [*_loads(results), *_over_rounds(results)]


def _shares() -> str:
    return ", ".join(f"{SHARES[name]:g} ({name})" for name in BESIDE)


def _p99(rounds: list[dict[str, Any]]) -> dict[tuple[int, str], float | None]:
    return {(one["round"], one["beside"]): one["small"]["right"]["p99_ms"] for one in rounds}


def _over_rounds(results: dict[str, Any]) -> list[list[str]]:
    p99 = _p99(results["rounds"])
    found = {name: ratios(p99, name, "alone") for name in (*BESIDE, STRANGER)}
    rest = [""] * (len(HEAD) - 4)
    return [["all", name, "", f"x alone: {spread(values)}", *rest] for name, values in found.items() if values]


def _loads(results: dict[str, Any]) -> list[list[str]]:
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
