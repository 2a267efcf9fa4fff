"""`sluice loadtest ...`: ask a server as a described load would, and judge what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.failure import CommandFailed, ExitCode

ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="A YAML file, or a ready scenario's name.")]
Target = Annotated[str | None, typer.Option("--target", help="The server, instead of the scenario's.")]
YesLoad = Annotated[
    str | None, typer.Option("--yes-load", metavar="HOST", help="Permit this host, which is not this machine.")
]
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
) -> None:
    """Run a load test: requests leave when they are due, and latency counts from then.

    Exit code 1: the generator could not keep up, so the figures are not the server's. 4, with --gate: a gate missed.
    Ctrl-C ends it and reports what was measured.
    """
    from serving.cli.loadtest_run import Wanted, run_scenario

    verdict = run_scenario(Wanted(scenario, target, metrics, yes_load, scale, for_s, json_file))
    if verdict == "invalid":
        raise CommandFailed("the load was not the one that was asked for: its figures are not the server's")
    if verdict == "interrupted":
        raise CommandFailed("interrupted; what was measured until then is above", ExitCode.INTERRUPTED)
    if verdict == "failed" and gate:
        raise CommandFailed("a gate was missed", ExitCode.NOT_PROMOTED)


def scenarios() -> None:
    """The scenarios that come with the product, and what each finds out."""
    from loadtests.scenario.reading import find, read, ready
    from serving.cli.output import console, table

    rows = [(name, read(find(name)).about) for name in ready()]
    console().print(table(["scenario", "what it finds out"], rows))
