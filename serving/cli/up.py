"""`sluice up`: starts everything, prints where it is, stops cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.engine_choice import Engine


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "up",
        short_help="Start everything and serve.",
        epilog="Example: sluice up --models ./models --engine in-process",
    )(up)


def up(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The YAML file; by default sluice.yaml.")
    ] = None,
    models: Annotated[Path | None, typer.Option("--models", help="Serve every model of this folder.")] = None,
    engine: Annotated[Engine | None, typer.Option("--engine", help="What hosts the models.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Gateway processes.")] = None,
    http_port: Annotated[int | None, typer.Option("--http-port", help="Predictions over HTTP (8080).")] = None,
    grpc_port: Annotated[int | None, typer.Option("--grpc-port", help="Predictions over gRPC (8081).")] = None,
    metrics_port: Annotated[int | None, typer.Option("--metrics-port", help="Prometheus metrics (8082).")] = None,
    control_port: Annotated[int | None, typer.Option("--control-port", help="The control API (8000).")] = None,
    redis_url: Annotated[str | None, typer.Option("--redis-url", help="Redis for both states, not embedded.")] = None,
    rollouts: Annotated[bool, typer.Option("--rollouts", help="Canaries with --engine in-process, too.")] = False,
) -> None:
    """Start everything, print where it is, and serve until Ctrl-C."""
    from serving.cli.session_options import SessionOptions
    from serving.cli.session_run import serve

    options = SessionOptions(
        config=config,
        models=models,
        engine=engine.value if engine else None,
        workers=workers,
        http_port=http_port,
        grpc_port=grpc_port,
        metrics_port=metrics_port,
        control_port=control_port,
        redis_url=redis_url,
        # Without the flag the file decides.
        rollouts=rollouts or None,
    )
    serve(options)
