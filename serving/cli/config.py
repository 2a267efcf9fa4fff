"""`sluice config show | check | diff | schema`: what holds and where it came from, what is wrong, what changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.failure import CommandFailed

if TYPE_CHECKING:
    from serving.config.difference import Difference

File = Annotated[
    Path | None, typer.Option("--config", "-c", help="The YAML file; by default sluice.yaml, if it is there.")
]
Models = Annotated[
    Path | None, typer.Option("--models", help="The models' folder; by default the configured one, if any.")
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
        epilog="Example: sluice config check --config sluice.yaml --models ./models",
    )(check)
    group.command(
        "diff",
        short_help="What another file would change.",
        epilog="Example: sluice config diff sluice.yaml new.yaml",
    )(diff)
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
    console().print(table(["setting", "value", "from"], shown, whole=["setting"]))


def check(config: File = None, models: Models = None, as_json: AsJson = False) -> None:
    """Validate the configuration as a whole, also against the graphs of models whose inputs are made of features.

    Exit code 1 when something is wrong.
    """
    from serving.cli.config_check import checked
    from serving.cli.output import note, print_json

    found = checked(config, models)
    if as_json:
        print_json({"valid": not found.problems, "problems": found.problems, "notes": found.notes})
    else:
        for line in found.notes:
            note(f"note: {line}")
    if found.problems:
        raise CommandFailed(found.message())
    if not as_json:
        typer.echo("the configuration is valid")


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The YAML file that holds.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The one that is to.")],
    as_json: AsJson = False,
) -> None:
    """List every value that NEW would make another, defaults and this environment's variables included.

    A running session reads its file anew with `sluice restart`; what takes a restart of the session is said.
    """
    from serving.cli.output import console, print_json, table
    from serving.config.difference import differences
    from serving.config.effective import effective

    found = differences(*(effective(file, os.environ, {}) for file in (old, new)))
    if as_json:
        print_json({one.setting: {"old": one.old, "new": one.new, "takes": _by(one)} for one in found})
        return
    if not found:
        typer.echo("nothing changes")
        return
    shown = [(one.setting, *("-" if text is None else text for text in (one.old, one.new)), _by(one)) for one in found]
    console().print(table(["setting", "old", "new", "takes"], shown, whole=["setting", "takes"]))


def _by(one: Difference) -> str:
    return "a stop and a start" if one.restart else "sluice restart"


def schema() -> None:
    """Print the JSON schema of the file, for editors and for other programs' checks."""
    from serving.cli.output import print_json
    from serving.config.settings import Settings

    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()})
