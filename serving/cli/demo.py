"""`sluice demo`: the flights example, served and asked for real flights, in one command."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.cli.canary_choice import Canary
from serving.cli.engine_choice import Engine


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("demo", short_help="Predict real flights.", epilog="Example: sluice demo --once --engine in-process")(
        demo
    )


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the first 200 predictions.")] = False,
    canary: Annotated[
        Canary | None,
        typer.Option("--canary", help="Roll such a version out under load, to its end; exit code 4 if it failed."),
    ] = None,
    engine: Annotated[Engine, typer.Option("--engine", help="What hosts the models.")] = Engine.RAY,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Gateway processes.")] = 1,
    http_port: Annotated[
        int | None, typer.Option("--http-port", min=0, max=65_535, help="8080, or a free one.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", min=0, max=65_535, help="8082, or a free one.")
    ] = None,
) -> None:
    """Serve the flight-delay models, predict 200 real flights over HTTP, show how well; then live figures.

    With --canary a version is rolled out while real flights are asked for, and the end of that is the command's: exit
    code 0 once it was promoted, 4 where it was rolled back.
    """
    from serving.cli.demo_run import DemoOptions, run_demo

    run_demo(DemoOptions(once, engine.value, workers, http_port, metrics_port, canary))
