"""Renders the results files as Markdown: `python -m benchmarks.report [RESULTS.json] [COMPONENTS.json]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.generator import page as generator
from benchmarks.growth import page as growth
from benchmarks.markdown import table
from benchmarks.profile import page as profile
from benchmarks.summary import DISTURBED_CORES, RULE, Cell, Key, by_round, disturbed, keys, ratio, spread
from benchmarks.targets import ENTITIES, OURS, judge
from benchmarks.under_load import page as under_load

RESULTS = Path(__file__).parent / "results"
# The last side-by-side run; then, for what it did not ask for, the ones before.
EARLIER = ("encodings.json", "plain-python.json")
# Over this, somebody else used the machine so much that the figures say little.
QUIET_CORES = 0.2
COMPARED_AT = 64


def render(results: dict[str, Any], without: Collection[str] = ()) -> str:
    """The whole report of one results file, or what it says of workloads that an earlier one does not have."""
    cells = results["cells"]
    shown = [name for name in results["workloads"] if name not in without and any(c["workload"] == name for c in cells)]
    parts = [_head(results), *(_workload(results, name) for name in shown)]
    parts += [_targets(cells, shown), _stages([c for c in cells if c["workload"] in shown])]
    parts += [] if without else [_turns(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(results: dict[str, Any]) -> str:
    machine = results["machine"]
    peers = ", ".join(f"{name} {version}" for name, version in machine["peers"].items() if name != "python")
    lines = [
        f"Measured on {results['began']}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"Linux {machine['kernel']}, Python {machine['python']}, commit {machine['commit']}"
        + (" with uncommitted changes" if machine["uncommitted"] else "")
        + (", the hot path compiled" if machine.get("compiled") else ", all of it plain Python")
        + f"; {results['rounds']} rounds of {results['seconds']:g} s. Peers: {peers}, nginx {machine['nginx']}; "
        f"wrk {machine['wrk']}, h2load {machine.get('h2load', '')}.",
        results["method"],
    ]
    if results["quick"]:
        lines.insert(0, "**A trial run: these figures mean nothing.**")
    left_out = sum(disturbed(cell) for cell in results["cells"])
    if left_out:
        total = len(results["cells"])
        lines.append(f"Left out: {left_out} of {total} loads, during which others used over {DISTURBED_CORES:g} cores.")
    loudest = max((cell["other_cores"] for cell in results["cells"] if not disturbed(cell)), default=0.0)
    if loudest > QUIET_CORES:
        lines.append(f"**The machine was not quiet: others used up to {loudest:.2f} cores during a load.**")
    return "\n\n".join(lines)


@dataclass(frozen=True, slots=True)
class Lines:
    """One workload's cells, and the numbers of connections they were measured at."""

    workload: str
    cells: list[Cell]
    connections: list[int]

    @property
    def middle(self) -> int:
        """Where contenders are compared."""
        return COMPARED_AT if COMPARED_AT in self.connections else self.connections[-1]

    @property
    def reference(self) -> str:
        """Whom they are compared with."""
        return OURS if any(cell["contender"] == OURS for cell in self.cells) else ENTITIES

    def median(self, contender: str, connections: int, figure: str) -> float:
        """0 where no round has it."""
        values = by_round(self.cells, Key(contender, self.workload, connections), figure).values()
        return spread(values).median if values else 0.0

    def shown(self, contender: str, connections: int, figure: str) -> str:
        """As text; a dash where no round has it."""
        found = self.median(contender, connections, figure)
        return f"{found:,.0f}" if found else "-"


def _workload(results: dict[str, Any], workload: str) -> str:
    facts = results["workloads"][workload]
    cells = [cell for cell in results["cells"] if cell["workload"] == workload]
    lines = Lines(workload, cells, sorted({cell["connections"] for cell in cells}))
    head = ["contender", *(f"req/s c={c}" for c in lines.connections[-2:])]
    head += [f"p50 / p99 us c={c}" for c in lines.connections]
    head += [f"CPU us a request c={lines.middle}", f"req/s to {lines.reference} c={lines.middle}", "failed + late"]
    names = list(dict.fromkeys(cell["contender"] for cell in cells))
    names.sort(key=lambda name: -lines.median(name, lines.middle, "per_second"))
    rows = [[_title(results["contenders"][name]), *_row(name, lines)] for name in names]
    title = f"### {workload}: {facts['model']}/{facts['version']}, body of {facts['body_bytes']} bytes"
    return f"{title}\n\n{table(head, rows)}"


def _title(contender: dict[str, str]) -> str:
    return f"{contender['title']} ({contender['commit']})" if "commit" in contender else contender["title"]


def _row(name: str, lines: Lines) -> list[str]:
    row = [lines.shown(name, c, "per_second") for c in lines.connections[-2:]]
    row += [f"{lines.shown(name, c, 'p50_us')} / {lines.shown(name, c, 'p99_us')}" for c in lines.connections]
    row.append(lines.shown(name, lines.middle, "server_cpu_us"))
    theirs, ours = (
        by_round(lines.cells, Key(who, lines.workload, lines.middle), "per_second") for who in (name, lines.reference)
    )
    row.append(str(ratio(theirs, ours) or ""))
    own = [cell for cell in lines.cells if cell["contender"] == name]
    row.append(f"{sum(cell['failed'] for cell in own)} + {sum(cell['late'] for cell in own)}")
    return row


def _targets(cells: Sequence[Cell], workloads: Collection[str]) -> str:
    judged = [t for t in judge(cells) if t["met"] is not None and t["workload"] in workloads]
    rows = []
    for target in judged:
        sign = ">=" if target["at_least"] else "<="
        met = "yes" if target["met"] else "**no**"
        figures = [f"{sign} {target['bound']:g}", str(target["measured"]), met]
        rows.append([target["text"], str(target["connections"]), *figures])
    head = ["Sluice's Ray pool", "connections", "target", "measured (rounds from-to)", "met"]
    rule = RULE if any(len(target["peers"]) > 1 for target in judged) else ""
    return "\n\n".join(filter(None, ("### Targets", rule, table(head, rows)))) if rows else ""


def _stages(cells: Sequence[Cell]) -> str:
    measured = [key for key in keys(cells) if any(_stage_means(cells, key, name) for name in _stage_names(cells))]
    if not measured:
        return ""
    names = _stage_names(cells)
    rows = [
        [
            key.contender,
            key.workload,
            str(key.connections),
            *(_middle(_stage_means(cells, key, name)) for name in names),
        ]
        for key in measured
    ]
    head = ["contender", "workload", "connections", *names]
    note = (
        "Means from Sluice's own histograms. `run` and `encode` are a whole batch's: a request waits as long as that "
        "and costs that divided by the rows of a batch. `total` is from the request's last byte to its answer."
    )
    return f"### Microseconds by stage\n\n{note}\n\n{table(head, rows)}"


def _stage_names(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(name for cell in cells for name in cell.get("stages", {})))


def _stage_means(cells: Sequence[Cell], key: Key, stage: str) -> list[float]:
    own = [c for c in cells if Key(c["contender"], c["workload"], c["connections"]) == key and not disturbed(c)]
    return [cell["stages"][stage] for cell in own if stage in cell.get("stages", {})]


def _middle(values: Sequence[float]) -> str:
    return f"{median(values):,.1f}" if values else ""


def _turns(results: dict[str, Any]) -> str:
    rows = []
    for name, facts in results["contenders"].items():
        turns = [turn for turn in results["turns"] if turn["contender"] == name]
        ready = [turn["ready_s"] for turn in turns if "ready_s" in turn]
        memory = [turn["memory_mb"] for turn in turns if "memory_mb" in turn]
        checked = [seen for turn in turns for seen in turn.get("checked", {}).values()]
        right = sum(seen["answers"] - seen["wrong"] for seen in checked)
        asked = sum(seen["answers"] + seen["failed"] for seen in checked)
        forced = sum(turn.get("forced_to_end", 0) for turn in turns)
        problems = "; ".join(dict.fromkeys(turn["problem"].split("\n")[0][:200] for turn in turns if turn["problem"]))
        rows.append(
            [
                _title(facts),
                _middle(ready),
                _middle(memory),
                f"{right} of {asked}" if asked else "",
                str(forced),
                problems,
            ]
        )
    head = ["contender", "ready in s", "memory MB", "right answers before the loads", "ended by force", "problems"]
    return f"### Turns\n\n{table(head, rows)}"


def components(results: dict[str, Any]) -> str:
    """The report of the components' file."""
    rows = [
        [part["name"], f"{part['least_us']:.2f}", f"{part['median_us']:.2f}", part["note"]] for part in results["parts"]
    ]
    return f"### Components in process\n\n{table(['what', 'least us', 'median us', 'of'], rows)}\n"


def main(paths: Sequence[str]) -> int:
    """Print all reports, of the files that exist, as one page."""
    print("# Performance\n")
    peers = Path(paths[0]) if paths else RESULTS / "peers.json"
    parts = Path(paths[1]) if len(paths) > 1 else RESULTS / "components.json"
    shown: set[str] = set()
    for path in (peers, *(RESULTS / name for name in EARLIER)):
        if path.exists():
            results = json.loads(path.read_text())
            print(render(results, shown))
            shown |= results["workloads"].keys()
    if (sampled := RESULTS / "profile.json").exists():
        print(profile.render(json.loads(sampled.read_text())))
    if (before := RESULTS / "earlier.json").exists():
        print("## Beside the first data plane\n")
        print(render(json.loads(before.read_text())))
    if (grown := RESULTS / "growth.json").exists():
        print(growth.render(json.loads(grown.read_text())))
    if loads := [json.loads(path.read_text()) for path in sorted(RESULTS.glob("under-load-*.json"))]:
        print(under_load.page(loads))
    if (compared := RESULTS / "generator.json").exists():
        print(generator.render(json.loads(compared.read_text())))
    if parts.exists():
        print(components(json.loads(parts.read_text())))
    return 0 if peers.exists() or parts.exists() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
