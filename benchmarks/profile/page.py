"""Renders where processor time goes: a line for each process of each load, a column for each library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table
from benchmarks.profile.samples import CLIENT, LIBRARIES, OTHERS, REST

_ROLES = ("gateway worker", "replica", "others of Sluice", CLIENT, OTHERS)
_BODIES = {"mlp": "JSON", "binary": "binary tensors"}
# Of a request's time; less is left out.
_LEAST_SHARE = 0.005


def render(results: Mapping[str, Any]) -> str:
    """The section."""
    facts = results["machine"]
    compiled = "the hot path compiled" if facts.get("compiled") else "all of it plain Python"
    head = (
        f"`perf` sampled all cores while one thread of wrk asked the tiny model, {results['seconds']:g} s a load; "
        "microseconds of a core for each request. What the cores have left of their time is idle. "
        f"Measured on {results['began']} at commit {facts['commit']}, {compiled}. Sampling slows all of it a little. "
        "The kernel's share is that of whoever called it: who sends on the loopback does the receiver's part of TCP."
    )
    columns = [*LIBRARIES, REST]
    rows = [row for load in results["loads"] for row in _rows(load, columns)]
    names = ["server, body, callers (requests/s)", "process", *columns, "all"]
    return f"### Where a request's processor time goes\n\n{head}\n\n{table(names, rows)}\n"


def _rows(load: Mapping[str, Any], columns: list[str]) -> list[list[str]]:
    whole = load["cores"] * 1e6 / load["per_second"]
    engine = load["contender"].removeprefix("sluice-")
    title = f"{engine}, {_BODIES[load['workload']]}, {load['callers']} ({load['per_second']:,.0f})"
    rows = []
    left = whole
    for role in _ROLES:
        libraries = load["us"].get(role, {})
        spent = sum(libraries.values())
        left -= spent
        if spent >= whole * _LEAST_SHARE:
            rows.append([title, role, *(f"{libraries.get(name, 0.0):.1f}" for name in columns), f"{spent:.1f}"])
            title = ""
    return [*rows, [title, "idle", *[""] * len(columns), f"{max(left, 0.0):.1f}"]]
