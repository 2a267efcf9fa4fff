"""What people see of the conformance suite: every check by area, and the evidence of those that failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from serving.cli.output import table
from serving.conformance.check import Check, Outcome, Result, Severity
from serving.conformance.report import Run
from serving.conformance.server import NO_GRPC

_STYLE = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.SKIPPED: "dim", Outcome.ERROR: "bold red"}


def result_table(results: Sequence[Result]) -> Table:
    """One row for each check, an empty one between areas."""
    rows: list[Sequence[object]] = []
    area = ""
    for result in results:
        if result.reason == NO_GRPC:
            # Dozens of rows that say one thing; the summary says it once.
            continue
        if area and result.check.area != area:
            rows.append(("", "", "", ""))
        area = result.check.area
        rows.append((_outcome(result), result.check.id, result.check.severity, result.reason or result.check.promise))
    return table(["result", "check", "severity", "what"], rows)


def checks_table(checks: Sequence[Check]) -> Table:
    """What each check promises and where that is written."""
    rows = [(one.id, one.severity, one.extension, one.promise, one.source) for one in checks]
    return table(["check", "severity", "extension", "promise", "source"], rows)


def failures(results: Sequence[Result]) -> Iterator[Text]:
    """What was sent and what came, for each check that was not kept."""
    for result in results:
        if result.outcome not in (Outcome.FAIL, Outcome.ERROR):
            continue
        check = result.check
        yield Text(f"\n{check.id}: {check.promise} ({check.source})", style="bold")
        yield Text(f"  {result.reason}")
        for exchange in result.evidence:
            yield Text("\n".join(f"  {line}" for line in exchange.splitlines()), style="dim")


def summary(run: Run) -> Text:
    """Counts, and the verdict in words."""
    counts = ", ".join(f"{number} {outcome}" for outcome, number in run.counts().items() if number)
    advised = sum(
        1 for one in run.results if one.outcome is Outcome.FAIL and one.check.severity is Severity.RECOMMENDED
    )
    also = f"; {advised} of the failed are recommendations" if advised else ""
    verdict = "keeps every promise" if run.conforms else "does not keep every promise"
    if any(one.reason == NO_GRPC for one in run.results):
        also += "; gRPC was not tried (--grpc HOST:PORT)"
    return Text(f"\n{len(run.results)} checks in {run.took_s:.1f} s: {counts}{also}. The server {verdict}.")


def _outcome(result: Result) -> Text:
    word = result.outcome.value
    if result.outcome is Outcome.FAIL and not result.counts:
        return Text("advice", style="yellow")
    return Text(word, style=_STYLE[result.outcome])
