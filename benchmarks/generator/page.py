"""Renders what clients of load tests can do on one core."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.markdown import table

TARGET = 1.2
# The kernel's own work for the loopback counts as others' too.
QUIET_CORES = 0.3
OURS, BESIDE = "open-loop", "FastHttpUser"
TITLES = {
    "open-loop": "the generator, open loop",
    "FastHttpUser": "Locust's FastHttpUser, closed loop",
    "HttpUser": "Locust's HttpUser, closed loop",
}


def render(results: Mapping[str, Any]) -> str:
    """The section."""
    head = (
        f"{results['method']} Measured on {results['began']} at commit {results['machine']['commit']}, "
        f"{len({turn['round'] for turn in results['turns']})} rounds of {results['seconds']:g} s."
    )
    rows = [_row(results, name) for name in TITLES if rates(results, name)]
    columns = ["client", "requests/s (rounds from-to)", "of a core", "late at p99, ms", f"to {BESIDE}"]
    promise = f"Target: the generator sends at least {TARGET} x what {BESIDE} does: {_met(results)}."
    noise = (
        f"**The machine was not quiet: others used up to {results['others_cores']:.2f} cores meanwhile**, which the "
        "generator's real-time priority bears better than Locust does."
        if results["others_cores"] > QUIET_CORES
        else ""
    )
    parts = ["### The generator of load tests", head, table(columns, rows), promise, noise]
    return "\n\n".join([*filter(None, parts), *(f"* {problem}" for problem in results["problems"])]) + "\n"


def rates(results: Mapping[str, Any], name: str) -> dict[int, float]:
    """Requests a second by round."""
    return {turn["round"]: turn["per_second"] for turn in results["turns"] if turn["client"] == name}


def ratio(results: Mapping[str, Any], name: str) -> float | None:
    """To FastHttpUser, within rounds, their median."""
    theirs, beside = rates(results, name), rates(results, BESIDE)
    found = [theirs[number] / beside[number] for number in theirs.keys() & beside.keys()]
    return median(found) if found else None


def target_met(results: Mapping[str, Any]) -> bool:
    """Whether the generator does as much more as it should."""
    found = ratio(results, OURS)
    return found is not None and found >= TARGET


def _met(results: Mapping[str, Any]) -> str:
    return "met" if target_met(results) else "**missed**"


def _row(results: Mapping[str, Any], name: str) -> list[str]:
    own = [turn for turn in results["turns"] if turn["client"] == name]
    found = [turn["per_second"] for turn in own]
    late = [turn["late_p99_ms"] for turn in own if "late_p99_ms" in turn]
    against = ratio(results, name)
    return [
        TITLES[name],
        f"{median(found):,.0f} ({min(found):,.0f}-{max(found):,.0f})",
        f"{median(turn['cores'] for turn in own):.0%}",
        f"{median(late):.2f}" if late else "-",
        f"{against:.2f}" if against is not None else "",
    ]
