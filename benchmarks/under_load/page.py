"""Renders what was measured under load, one experiment or all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from benchmarks.markdown import table
from benchmarks.under_load import bulk, memory, neighbours, one_caller, overload, shadow, slots, split, tracing

# The kernel's own work for the loopback counts as others' too.
QUIET_CORES = 0.3
EXPERIMENTS: dict[str, ModuleType] = {
    "overload": overload,
    "bulk": bulk,
    "neighbours": neighbours,
    "memory": memory,
    "one-caller": one_caller,
    "slots": slots,
    "shadow": shadow,
    "split": split,
    "tracing": tracing,
}
# What the tables do not say of how it was measured.
METHODS: dict[str, Callable[[dict[str, Any]], str]] = {"overload": overload.method, "neighbours": neighbours.method}


def page(measured: Sequence[Mapping[str, Any]]) -> str:
    """The section of all of them: what was promised and what was measured, each with where and when."""
    parts = ["## Under load", measured[0]["rule"]]
    for results in measured:
        facts = results["machine"]
        compiled = "the hot path compiled" if facts.get("compiled") else "all of it plain Python"
        where = f"Measured on {results['began']} at commit {facts['commit']}, {compiled}."
        title, _, rest = render(dict(results)).partition("\n\n")
        parts += [title, where, rest.rstrip()]
    return "\n\n".join(parts) + "\n"


def render(results: dict[str, Any]) -> str:
    """Two tables: what was measured, and what that says of the promises; before them how, where that must be said."""
    experiment = EXPERIMENTS[results["experiment"]]
    rows = [[p["what"], p["wanted"], _text(p["got"]), p["verdict"]] for p in promises(results)]
    head = ["promise", "wanted", "got", "verdict"]
    measured = table(experiment.HEAD, experiment.lines(results))
    method = METHODS[results["experiment"]](results) if results["experiment"] in METHODS else ""
    title = f"### {results['experiment']}, {results['engine']}"
    parts = [title, method, measured, table(head, rows), disturbed(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def disturbed(results: dict[str, Any]) -> str:
    """A sentence where others used the machine: figures then say as much about them as about the server."""
    used = max(one["others_cores"] for one in results.get("cases", [results]))
    if used <= QUIET_CORES:
        return ""
    return f"The machine was not quiet: others used {used:.2f} cores meanwhile, and these figures are theirs too."


def promises(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the whole experiment, or of each of its loads, named by it."""
    if "cases" not in results:
        return list(results["promises"])
    return [
        {**promise, "what": f"{case['model']} at {load['factor']:g} x: {promise['what']}"}
        for case in results["cases"]
        for load in case["loads"]
        for promise in load["promises"]
    ]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3f}"
