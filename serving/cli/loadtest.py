"""`sluice loadtest ...`: ask a server as a described load would, and judge what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.config import AsJson
from serving.cli.failure import CommandFailed, ExitCode

ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="A YAML file, or a ready scenario's name.")]
Target = Annotated[str | None, typer.Option("--target", help="The server, instead of the scenario's.")]
YesLoad = Annotated[
    str | None, typer.Option("--yes-load", metavar="HOST", help="Permit this host, which is not this machine.")
]
ResultFile = Annotated[Path, typer.Argument(metavar="FILE", help="A result of `run --json` or `--report`.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - is standard output.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        name="loadtest", help="Load-test a server, honestly.", no_args_is_help=True, rich_markup_mode=None
    )
    commands: tuple[tuple[Callable[..., None], str, str, str], ...] = (
        (run, "run", "Run a scenario and judge it.", "run smoke --gate"),
        (report, "report", "Write a result as HTML, Markdown and JUnit.", "report result.json --to report"),
        (
            find_capacity,
            "find-capacity",
            "The highest rate that a goal holds at.",
            "find-capacity steady --slo p99=20ms",
        ),
        (compare, "compare", "Two results, with intervals.", "compare before.json after.json"),
        (scenarios, "scenarios", "The scenarios that come with the product.", "scenarios"),
    )
    for command, name, short, example in commands:
        group.command(name, short_help=short, epilog=f"Example: sluice loadtest {example}")(command)
    app.add_typer(group)


def run(
    scenario: ScenarioName,
    gate: Annotated[bool, typer.Option("--gate", help="Exit code 4 where a gate is missed.")] = False,
    target: Target = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="URL", help="Its /metrics, instead of the scenario's.")
    ] = None,
    yes_load: YesLoad = None,
    scale: Annotated[float, typer.Option("--scale", help="All rates times so much.", min=0.001, max=1000)] = 1.0,
    for_s: Annotated[
        float | None, typer.Option("--for-s", help="All stages squeezed or stretched into so many seconds.", min=1)
    ] = None,
    json_file: JsonFile = None,
    report_to: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write report.html, result.json, junit.xml, summary.md."),
    ] = None,
) -> None:
    """Run a load test: requests leave when they are due, and latency counts from then.

    Exit code 1: the generator could not keep up, so the figures are not the server's. 4, with --gate: a gate missed.
    Ctrl-C ends it and reports what was measured.
    """
    from serving.cli.loadtest_run import Wanted, run_scenario

    verdict = run_scenario(Wanted(scenario, target, metrics, yes_load, scale, for_s, json_file, report_to, gate))
    if verdict == "invalid":
        raise CommandFailed("the load was not the one that was asked for: its figures are not the server's")
    if verdict == "interrupted":
        raise CommandFailed("interrupted; what was measured until then is above", ExitCode.INTERRUPTED)
    if verdict == "failed" and gate:
        raise CommandFailed("a gate was missed", ExitCode.NOT_PROMOTED)


def report(
    result: ResultFile,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the files go.")] = Path("loadtest-report"),
) -> None:
    """Write one self-contained HTML file, Markdown for a review and JUnit's XML for a build."""
    from serving.cli.loadtest_compare import write_report

    write_report(result, to)


def find_capacity(
    scenario: ScenarioName,
    slo: Annotated[str, typer.Option("--slo", metavar="GOAL", help="What must hold, such as p99=20ms.")] = "p99=20ms",
    errors: Annotated[float, typer.Option("--errors", help="Share of errors that is permitted.", min=0, max=1)] = 0.001,
    first: Annotated[float, typer.Option("--from", help="Requests a second to begin with.", min=1)] = 100.0,
    within: Annotated[float, typer.Option("--within", help="How near, as a share.", min=0.005, max=1)] = 0.04,
    step_s: Annotated[float, typer.Option("--step-s", help="Seconds at each rate.", min=1, max=3600)] = 15.0,
    most_s: Annotated[float, typer.Option("--most-s", help="Seconds for all of it.", min=2, max=86_400)] = 300.0,
    target: Target = None,
    yes_load: YesLoad = None,
    json_file: JsonFile = None,
) -> None:
    """Search for the highest rate of independent callers at which a goal holds: twice as many, then halved gaps.

    Exit code 1 where the generator could not keep up before the server did not.
    """
    from loadtests.capacity import Search, parsed_goal
    from serving.cli.loadtest_capacity import WantedCapacity, find_capacity

    goal = parsed_goal(slo, errors)
    search = Search(first, within, step_s, most_s)
    found = find_capacity(WantedCapacity(scenario, target, yes_load, json_file), goal, search)
    if found.tried[-1].held == "invalid":
        raise CommandFailed("the generator could not keep up: the server may hold more")


def compare(
    first: ResultFile,
    second: ResultFile,
    gate: Annotated[
        float | None,
        typer.Option("--gate", metavar="SHARE", help="Exit code 4 where p99 is surely more than so much worse.", min=0),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Two results side by side, each ratio with an interval of 95 %, and what makes them hard to compare."""
    from serving.cli.loadtest_compare import compare_results

    ratios, unfit = compare_results(first, second, as_json=as_json)
    if gate is not None and unfit:
        raise CommandFailed(f"{unfit[0]}: no gate is judged by it")
    worse = [ratio for ratio in ratios if ratio.figure == "p99 ms" and gate is not None and ratio.low > 1 + gate]
    if worse:
        raise CommandFailed(f"p99 is at least {worse[0].low - 1:.0%} worse", ExitCode.NOT_PROMOTED)


def scenarios(as_json: AsJson = False) -> None:
    """The scenarios that come with the product, and what each finds out."""
    from loadtests.scenario.reading import find, read, ready
    from serving.cli.output import console, print_json, table

    rows = {name: read(find(name)).about for name in ready()}
    if as_json:
        print_json(rows)
    else:
        console().print(table(["scenario", "what it finds out"], list(rows.items())))
