"""Renders the results as a page: `python -m benchmarks.canary.report [RESULTS.json] > docs/canary-evidence.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results" / "canary.json"
_OTHERS = ("thresholds", "peeked z-test", "Kayenta-like")
_PHASES = (("rolled_back", "back"), ("paused", "paused"), ("promoted", "promoted"))

_HEAD = """# What the canary rule does in simulated worlds

Made by `python -m benchmarks.canary.run`; the rule is the shipped code (`serving/rollouts/`), the worlds are in
`benchmarks/canary/worlds.py`: 1,000 requests a minute, 1 % errors that move between half and twice that, the default
plan, unless a row says otherwise. Sticky users are busy and error-prone in very different measure. Latency and scores
are drawn, not measured, so this says what the statistics do, and nothing of queues and caches.

The others are written from their documented rules, under the same plans and with the same traffic, at most 100 runs
each: *thresholds*, Argo Rollouts' example (success rate >= 95 % each minute, three failures allowed); *peeked z-test*,
one-sided tests of pooled counts at 5 % looked at every minute; *Kayenta-like*, the interval of the Hodges-Lehmann shift
of a point a minute. They do not judge scores. Each cell: rolled back /
paused / promoted, in percent, and the median time where most were rolled back.
"""


def render(results: dict[str, Any]) -> str:
    """The page."""
    machine = results["machine"]
    lines = [
        _HEAD,
        f"Simulated on {results['began']}, Python {machine['python']}, commit {machine['commit']}.\n",
        f"| world | asked | | shipped rule | to the end, p50 (p95) | {' | '.join(_OTHERS)} |",
        "|---|---|---|---|---|" + "---|" * len(_OTHERS),
        *(_row(name, world) for name, world in results["worlds"].items()),
        "",
        "Times count from the start of the fault where it begins later than the rollout, and are of all runs that",
        "ended after it. Looks are 5 s apart, 1 s from the start of a late fault on, 30 s at 50 requests a minute.",
        "A share of 400 runs is known to about 2 points at 5 % and 1.4 at 2 % (two standard errors).",
        "",
        *_by_row(results["worlds"]),
        "## Why they ended",
        "",
        *(f"* {name}: {_reasons(world['shipped'])}" for name, world in results["worlds"].items()),
    ]
    return "\n".join(lines) + "\n"


def _by_row(worlds: dict[str, Any]) -> list[str]:
    """Worlds in which runs were counted row by row too."""
    return [
        "## Batches, and a machine that stalls",
        "",
        "6,000 requests a minute that run together, as many as come while one waits: a small share has small batches.",
        "Stalls hit whole runs of one arm, and the next ones. *By row*: the same rule where every answer of a slow run",
        "counts, as it was before a run was one observation, and with all runs of a stall.",
        "",
        f"Simulated since a run is one observation: {_later(worlds)}.",
        "",
        "| world | shipped rule | by row |",
        "|---|---|---|",
        *(
            f"| {name} | {_ends_after(world['shipped'])} | {_ends_after(world['by row'])} |"
            for name, world in worlds.items()
            if "by row" in world
        ),
        "",
    ]


def _later(worlds: dict[str, Any]) -> str:
    """Worlds that were simulated again after the others, and of which commit."""
    return "; ".join(f"{name} ({world['commit']})" for name, world in worlds.items() if "commit" in world)


def _row(name: str, world: dict[str, Any]) -> str:
    shipped = world["shipped"]
    others = " | ".join(_ends_after(world[other]) if other in world else "" for other in _OTHERS)
    mark = "holds" if world["holds"] else "**missed**"
    times = f"{_time(shipped['p50_s'])} ({_time(shipped['p95_s'])})"
    return f"| {name} | {world['target']} | {mark} | {_ends(shipped)} (n={shipped['runs']}) | {times} | {others} |"


def _ends(summary: dict[str, Any]) -> str:
    return " / ".join(f"{100 * summary['ended'].get(phase, 0) / summary['runs']:.3g}" for phase, _ in _PHASES)


def _ends_after(summary: dict[str, Any]) -> str:
    """With the median time where most are rolled back, as a verdict that comes late may be worth little."""
    mostly = summary["ended"].get("rolled_back", 0) > summary["runs"] / 2
    return f"{_ends(summary)} (n={summary['runs']}){', ' + _time(summary['p50_s']) if mostly else ''}"


def _reasons(summary: dict[str, Any]) -> str:
    counted = sorted(summary["reasons"].items(), key=lambda pair: -pair[1])
    return ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in counted)


def _time(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes are told in seconds
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"  # noqa: PLR2004 - two hours


def main(arguments: Sequence[str]) -> int:
    """Print the page of a results file."""
    path = Path(arguments[0]) if arguments else RESULTS
    sys.stdout.write(render(json.loads(path.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
