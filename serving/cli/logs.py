"""`sluice logs show | level`: what a running session writes down, and how much of it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from serving.cli.config import AsJson
from serving.cli.models import ControlUrl, HttpPort, TokenFile

_HTTP_PORT = 8080


class LogLevel(Enum):
    """From where on a logger writes; `default` has it write as the others do."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    DEFAULT = "default"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        name="logs", help="What a running session writes down.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("show", short_help="The levels of loggers.", epilog="Example: sluice logs show")(show)
    group.command(
        "level",
        short_help="Change one, while the session runs.",
        epilog="Example: sluice logs level serving.batching debug",
    )(level)
    app.add_typer(group)


def show(
    http_port: HttpPort = _HTTP_PORT,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Show which loggers of a running session have a level of their own."""
    from serving.cli.control_client import control_client
    from serving.cli.output import console, print_json, table

    told = control_client(http_port, control_url, token_file).get("/logs")
    if as_json:
        print_json(told)
        return
    severities = [name for name in ("info", "warning", "error") if told[name]]
    others = ", ".join(["debug", *severities] if told["verbose"] else severities) or "nothing"
    rows = [*sorted(told["levels"].items()), ("all others", others)]
    console().print(table(["logger", "writes from"], rows))


def level(
    logger: Annotated[str, typer.Argument(help="A module of Sluice, or a part of it.", show_default=False)],
    to: Annotated[LogLevel, typer.Argument(metavar="LEVEL", help="From where on it writes.", show_default=False)],
    http_port: HttpPort = _HTTP_PORT,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Have a logger, and all below it, write from a level on, until the session ends; default takes that back."""
    from serving.cli.control_client import control_client

    wanted = None if to is LogLevel.DEFAULT else to.value
    control_client(http_port, control_url, token_file).post("/logs/levels", {"logger": logger, "level": wanted})
    typer.echo(f"{logger} writes as the others do" if wanted is None else f"{logger} writes from {wanted} on")
