"""Prints the tables of docs/operations/sizing.md again: `python -m benchmarks.sizing`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.sizing.costs import FULL, MODELS, POOL, Costs, costs, read, seen, stages_us
from benchmarks.sizing.fleet import Fleet, Load, simulate
from benchmarks.sizing.footprint import footprint
from benchmarks.sizing.links import links
from benchmarks.sizing.page import Check, check_table, costs_table, links_table, plans_table, stages_table
from benchmarks.sizing.plan import RATE, plans, simulated

# Callers who wait: each asks so often that the figures have settled.
ASKS_EACH = 100


def main() -> int:
    """Some twenty seconds of one core."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--load-models", type=int, default=0, help="copies of the tiny model to load, for their memory")
    copies = parser.parse_args().load_models
    if copies > 0:
        print(footprint(copies))
        return 0
    for part in page():
        print(part, end="\n\n", flush=True)
    return 0


def page() -> Iterator[str]:
    """One table after another, in the order of the page."""
    peers = read(POOL)
    known = costs(peers)
    yield costs_table(known)
    yield stages_table(by_stage(peers, read("encodings.json")))
    yield links_table(links(peers["workloads"]["mlp"]["body_bytes"], answer_bytes(peers)), RATE)
    yield check_table(checks(peers, known))
    entity_us = entity_cost_us(read("encodings.json"), known)
    heavy_us = heavy_row_us(read("sizing-overload.json"))
    yield f"By ids: {entity_us:.1f} us more of a worker. The model of 1 ms a row: {heavy_us:,.0f} us of a replica."
    yield plans_table(simulated(plan) for plan in plans(known, entity_us, heavy_us))


def by_stage(peers: dict[str, Any], encodings: dict[str, Any]) -> dict[str, dict[str, float]]:
    """A lone caller, whose stages wait for nobody, and as many as fill a worker; with rows and by ids."""
    kinds = {"rows": (peers, "sluice-ray", "mlp"), "ids": (encodings, "sluice-entities", "entities")}
    return {
        f"{kind}, {callers} caller{'s' if callers > 1 else ''}": stages_us(
            results["cells"], contender, workload, callers
        )
        for kind, (results, contender, workload) in kinds.items()
        for callers in (1, FULL[0])
    }


def checks(peers: dict[str, Any], known: Costs) -> Iterator[Check]:
    """Callers who wait, of one worker and one replica, as they were measured."""
    for callers in (1, *FULL):
        run = simulate(Fleet(known, workers=1, replicas=1), Load(callers=callers, requests=callers * ASKS_EACH))
        yield Check(callers, run, seen(peers["cells"], "sluice-ray", MODELS, callers))


def entity_cost_us(encodings: dict[str, Any], known: Costs) -> float:
    """What a request by ids costs a worker beyond one with its row, in batches of the same size."""
    found = seen(encodings["cells"], "sluice-entities", ("entities",), FULL[0])
    return found.core_us - known.worker_us(found.rows)


def heavy_row_us(overload: dict[str, Any]) -> float:
    """Of the model of 1 ms a row, by what one replica answered to callers who waited."""
    case = next(case for case in overload["cases"] if case["model"] == "model-bound")
    return 1e6 / float(case["closed_loop"]["answered_per_second"])


def answer_bytes(peers: dict[str, Any]) -> float:
    """Of one answer to one row, head and all."""
    own = [cell for cell in peers["cells"] if (cell["contender"], cell["workload"]) == ("sluice-ray", "mlp")]
    return float(median(cell["answer_bytes"] for cell in own))


if __name__ == "__main__":
    sys.exit(main())
