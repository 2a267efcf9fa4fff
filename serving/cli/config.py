"""`sluice config show | check | schema`: what holds and where it came from, what is wrong, what there is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.failure import CommandFailed

File = Annotated[
    Path | None, typer.Option("--config", "-c", help="The YAML file; by default sluice.yaml, if it is there.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(name="config", help="Look at the configuration.", no_args_is_help=True, rich_markup_mode=None)
    group.command(
        "show",
        short_help="Every value and where it came from.",
        epilog="Example: SLUICE_HTTP__PORT=9000 sluice config show",
    )(show)
    group.command(
        "check",
        short_help="Is it valid, and if not, what is wrong?",
        epilog="Example: sluice config check --config sluice.yaml",
    )(check)
    group.command(
        "schema", short_help="The JSON schema of the file.", epilog="Example: sluice config schema > sluice.schema.json"
    )(schema)
    app.add_typer(group)


def show(config: File = None, as_json: AsJson = False) -> None:
    """Print each effective value and where it came from: default, file and line, environment or flag."""
    from serving.cli.output import console, print_json, table
    from serving.config.document import dotted
    from serving.config.effective import effective

    rows = effective(config, os.environ, {}).rows()
    if as_json:
        print_json({dotted(path): {"value": value, "origin": origin} for path, value, origin in rows})
        return
    shown = [(dotted(path), json.dumps(value), origin) for path, value, origin in rows]
    console().print(table(["setting", "value", "from"], shown))


def check(config: File = None, as_json: AsJson = False) -> None:
    """Validate the configuration as a whole; exit code 1 when something is wrong."""
    from serving.cli.output import note, print_json
    from serving.config.effective import effective
    from serving.config.settings import not_served_yet
    from serving.errors import ConfigInvalid

    try:
        notes = not_served_yet(effective(config, os.environ, {}).settings)
    except ConfigInvalid as wrong:
        if as_json:
            print_json({"valid": False, "problems": _problems(wrong.message)})
        raise CommandFailed(wrong.message) from wrong
    if as_json:
        print_json({"valid": True, "notes": notes})
        return
    for line in notes:
        note(f"note: {line}")
    typer.echo("the configuration is valid")


def _problems(message: str) -> list[str]:
    """One entry for each: the lines below a heading that counts them, or the only line."""
    first, *below = message.splitlines()
    return [line.strip() for line in below] or [first]


def schema() -> None:
    """Print the JSON schema of the file, for editors and for other programs' checks."""
    from serving.cli.output import print_json
    from serving.config.settings import Settings

    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()})
