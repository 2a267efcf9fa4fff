"""A load test while it runs, and what it came to: rate, percentiles, errors, gates, progress."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from loadtests.generator.outcomes import UNANSWERED, Outcomes
from loadtests.judging.gates import Judged, judged
from loadtests.judging.latency import error_share, percentile_ms, waits
from loadtests.running.run import Look
from loadtests.scenario.scenario import Scenario
from loadtests.scenario.shape import stage_spans
from serving.cli.output import table

# Figures of the last moments are of so many seconds.
_WINDOW_S = 2.0
# Where lines cannot be redrawn, a line every five seconds is enough.
_LINES_EVERY_S = 5.0
_STYLES = {"passed": "bold green", "failed": "bold red", "invalid": "bold red", "interrupted": "yellow"}
_ENDLESS = float("inf")


class LoadScreen:
    """Redrawn twice a second in a terminal, else a line now and then."""

    def __init__(self, out: Console, scenario: Scenario) -> None:
        self._out = out
        self._scenario = scenario
        self._spans = stage_spans(scenario.shape)
        self._live = Live(console=out, auto_refresh=False, transient=True) if out.is_terminal else None
        self._told_at = 0.0

    def __enter__(self) -> Self:
        scenario = self._scenario
        self._out.print(f"{scenario.name}: {scenario.generator.loop} loop, on {scenario.target}", soft_wrap=True)
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def update(self, look: Look) -> None:
        """Show how far it is."""
        if self._live is not None:
            self._live.update(self._drawn(look), refresh=True)
        elif time.monotonic() >= self._told_at:
            self._told_at = time.monotonic() + _LINES_EVERY_S
            self._out.print(f"{look.seconds:6.1f} of {look.of:g} s  {'  '.join(self._cells(look))}", soft_wrap=True)

    def _drawn(self, look: Look) -> Group:
        columns = ["stage", "asked/s", "right/s", "p50", "p99", "errors", "unanswered"]
        shown = table(columns, [self._cells(look)], right=columns[1:])
        bar = ProgressBar(total=look.of, completed=min(look.seconds, look.of), width=60)
        place = Text(f"{min(look.seconds, look.of):.0f} of {look.of:.0f} s, {len(look.outcomes):,} requests")
        return Group(shown, *(gate_line(gate) for gate in self._gates(look)), bar, place)

    def _gates(self, look: Look) -> list[Judged]:
        """Of what is over, warm-up left out; variants, and what they tell of defaults, are judged at the end."""
        since = max((span.ended for span in self._spans if span.warm_up), default=0.0)
        over = look.outcomes.between(since, _ENDLESS)
        whole = self._scenario.gates.model_copy(update={"variants": {}, "degraded": None})
        settled = over.where((over.status != UNANSWERED) | (over.ended == over.ended))
        return judged(whole, settled, {}) if len(settled) else []

    def _cells(self, look: Look) -> Sequence[str]:
        recent = look.outcomes.between(look.seconds - _WINDOW_S, look.seconds)
        ended = recent.where(recent.status != UNANSWERED)
        ordered = waits(ended)
        replayed = "replay" if not self._spans and look.seconds < look.of else "last answers"
        span = next((span.name for span in self._spans if span.began <= look.seconds < span.ended), replayed)
        window = min(_WINDOW_S, max(look.seconds, 0.1))
        return (
            span,
            f"{len(recent) / window:,.0f}",
            f"{(ended.status == 200).sum() / window:,.0f}",  # noqa: PLR2004 - HTTP's OK
            milliseconds(percentile_ms(ordered, 0.5)),
            milliseconds(percentile_ms(ordered, 0.99)),
            share(error_share(ended)),
            str(_waiting(look.outcomes)),
        )


def show(out: Console, found: Mapping[str, Any]) -> None:
    """What a load test came to."""
    names = ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")
    columns = ["", "requests", "right/s", "errors", "p50", "p90", "p99", "p99.9", "slowest"]
    rows = [_row(name, figures, names) for name, figures in _parts(found)]
    out.print(table(columns, rows, right=columns[1:]))
    for gate in found["gates"]:
        out.print(gate_line(Judged(**gate), says_something=found["verdict"] != "invalid"), soft_wrap=True)
    for mark in found["chaos"]:
        out.print(Text(f"  at {mark['began_s']:.1f} s: {mark['name']}: {mark['said'] or 'done'}"), soft_wrap=True)
    for line in (*found["problems"], *found["notes"]):
        out.print(Text(f"  {line}", style="yellow"), soft_wrap=True)
    out.print(Text(f"  {_generator(found['generator'])}", style="dim"), soft_wrap=True)
    out.print(Text(found["verdict"], style=_STYLES[found["verdict"]]))


def _generator(told: Mapping[str, Any]) -> str:
    late, busiest = told["lateness"].get("p99_ms"), max(told["cpu_share"], default=0.0)
    return f"generator: {told['processes']} processes, p99 {milliseconds(late)} late, {busiest:.0%} of a core"


def gate_line(gate: Judged, *, says_something: bool = True) -> Text:
    """Met or missed, with its numbers; of an invalid load neither."""
    word, style = ("met", "green") if gate.met else ("missed", "bold red")
    line = Text(f"  {word:<8}", style=style) if says_something else Text("  not judged  ", style="dim")
    line.append(str(gate), style="default")
    return line


def milliseconds(value: float | None) -> str:
    """As people read them; endless where too many were never answered."""
    if value is None:
        return "-"
    return "endless" if value == _ENDLESS else f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"  # noqa: PLR2004


def share(value: float | None) -> str:
    """A percentage with as many digits as it needs."""
    return "-" if value is None else f"{value:.3%}" if value else "0 %"


def _parts(found: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    yield "all", found["totals"]
    if len(found["users"]) > 1:
        yield from found["users"].items()
    if len(found["variants"]) > 1:
        yield from found["variants"].items()
    if len(found["stages"]) > 1:
        yield from ((stage["name"], stage) for stage in found["stages"])


def _row(name: str, figures: Mapping[str, Any], names: Sequence[str]) -> Sequence[str]:
    rate = figures["right_per_second"]
    shown = (milliseconds(figures[one]) for one in names)
    return (
        name,
        f"{figures['requests']:,}",
        "-" if rate is None else f"{rate:,.0f}",
        share(figures["error_share"]),
        *shown,
    )


def _waiting(outcomes: Outcomes) -> int:
    sent = outcomes.sent == outcomes.sent
    return int(((outcomes.status == UNANSWERED) & sent & (outcomes.ended != outcomes.ended)).sum())
