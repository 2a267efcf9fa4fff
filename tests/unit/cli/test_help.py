"""Every command explains itself, with an example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from serving.cli.command_line import app


def commands(path: tuple[str, ...] = (), command: Any = None) -> Iterator[tuple[str, ...]]:
    command = command or typer.main.get_command(app)
    inner = getattr(command, "commands", {})
    if not inner:
        yield path
    for name, below in inner.items():
        yield from commands((*path, name), below)


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_help_says_what_a_command_does_and_how_it_is_called(command: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*command, "--help"])
    assert told.exit_code == 0
    assert "Example: " in told.output
    assert "sluice" in told.output.split("Example: ")[1]


@pytest.mark.parametrize("command", ["models", "config"])
def test_a_group_without_a_command_shows_its_commands(command: str) -> None:
    told = CliRunner().invoke(app, [command])
    assert "Commands:" in told.output


@pytest.mark.parametrize("arguments", [["unknown"], ["up", "--engine", "x"], ["predict"], ["up", "--workers", "many"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2
