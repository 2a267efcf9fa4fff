"""The tables that docs/operations/sizing.md quotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.markdown import table
from benchmarks.sizing.costs import STAGES, Costs, Seen
from benchmarks.sizing.fleet import Run
from benchmarks.sizing.links import Link
from benchmarks.sizing.plan import Outcome, percentile_ms

GIGABIT = 1e9 / 8


@dataclass(frozen=True, slots=True)
class Check:
    """So many callers who wait, simulated and measured."""

    callers: int
    run: Run
    seen: Seen


def costs_table(costs: Costs, rows: Sequence[int] = (1, 8, 64)) -> str:
    """What a request costs a worker's core and a replica's, by the rows of its batch."""
    lines = []
    for count in rows:
        worker, replica = costs.worker_us(count), costs.replica_us(count)
        cells = (costs.gateway_in_us, costs.gateway_out_us, costs.gateway_batch_us / count, worker, replica)
        lines.append([str(count), *(f"{cell:.1f}" for cell in cells), f"{1e6 / worker:,.0f}", f"{1e6 / replica:,.0f}"])
    head = ("rows a batch", "worker: in", "worker: out", "worker: batch", "worker", "replica", "req/s a worker's core")
    return table([*head, "req/s a replica's core"], lines)


def stages_table(measured: Mapping[str, Mapping[str, float]]) -> str:
    """Microseconds of a request in each stage, one column a load."""
    lines = [
        [stage, *(f"{column[stage]:.1f}" if stage in column else "" for column in measured.values())]
        for stage in STAGES
    ]
    return table(["stage, us a request", *measured], lines)


def check_table(checks: Iterable[Check]) -> str:
    """The simulation beside what was measured."""
    lines = [
        [
            str(check.callers),
            f"{check.run.per_second:,.0f}",
            f"{check.seen.per_second:,.0f}",
            f"{check.run.per_second / check.seen.per_second:.2f}",
            f"{percentile_ms(check.run, 50) * 1e3:,.0f}",
            f"{check.seen.p50_us:,.0f}",
            f"{check.run.rows:.1f}",
            f"{check.seen.rows:.1f}",
        ]
        for check in checks
    ]
    head = (
        "callers",
        "req/s, simulated",
        "measured",
        "ratio",
        "p50 us, simulated",
        "measured",
        "rows a batch, simulated",
    )
    return table([*head, "measured"], lines)


def plans_table(outcomes: Iterable[Outcome]) -> str:
    """Each pair of figures is of regular and of irregular times."""
    return table(
        [
            "load",
            "workers",
            "replicas",
            "answered/s",
            "rows a batch",
            "p50 ms",
            "p99 ms",
            "worker busy",
            "replica busy",
        ],
        [_line(outcome) for outcome in outcomes],
    )


def links_table(links: Iterable[Link], per_second: float) -> str:
    """Bytes of a request, and what so many requests a second fill."""
    return table(
        ["link", "bytes there", "bytes back", f"Gbit/s at {per_second:,.0f} req/s, the busier way"],
        [
            [link.name, f"{link.there:,.0f}", f"{link.back:,.0f}", f"{_gigabits(link, per_second):.2f}"]
            for link in links
        ],
    )


def _line(outcome: Outcome) -> list[str]:
    fleet, runs = outcome.plan.fleet, (outcome.regular, outcome.irregular)

    def both(*figures: str) -> str:
        return " / ".join(figures)

    return [
        outcome.plan.title,
        str(fleet.workers),
        str(fleet.replicas),
        both(*(f"{run.per_second:,.0f}" for run in runs)),
        both(*(f"{run.rows:.1f}" for run in runs)),
        both(*(f"{percentile_ms(run, 50):.1f}" for run in runs)),
        both(*(f"{percentile_ms(run, 99):.1f}" for run in runs)),
        both(*(f"{run.worker_busy:.0%}" for run in runs)),
        both(*(f"{run.replica_busy:.0%}" for run in runs)),
    ]


def _gigabits(link: Link, per_second: float) -> float:
    return max(link.there, link.back) * per_second / GIGABIT
