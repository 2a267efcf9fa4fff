"""`sluice completion bash | zsh | fish`: the script that lets a shell complete commands and options."""

from __future__ import annotations

import os
from enum import Enum
from typing import Annotated

import typer

# How the script asks this program; named after the program, as the command line's library expects.
_VARIABLE = "_SLUICE_COMPLETE"


class Shell(Enum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def add_to(app: typer.Typer) -> None:
    """Register the command, and answer the script where it is the one who asks."""
    app.command(
        "completion",
        short_help="Print the script for your shell.",
        epilog='Example: eval "$(sluice completion bash)"',
    )(completion)
    if _VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined] # documented, not declared

        completion_init()


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.", show_default=False)]) -> None:
    """Print the script that completes commands and options; evaluate it in the shell's start-up file."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # see add_to

    typer.echo(get_completion_script(prog_name="sluice", complete_var=_VARIABLE, shell=shell.value))
