"""Shells complete commands and options."""

from __future__ import annotations

import pytest

from tests.integration.cli.sluice_command import sluice


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    ended = sluice("completion", shell)
    assert ended.code == 0
    assert "_SLUICE_COMPLETE" in ended.out


@pytest.mark.parametrize(
    ("begun", "offered"),
    [("sluice mod", "models"), ("sluice models lo", "load"), ("sluice models load --c", "--control-url")],
)
def test_what_was_begun_is_completed(begun: str, offered: str) -> None:
    last = str(len(begun.split()) - 1)
    ended = sluice(_SLUICE_COMPLETE="complete_bash", COMP_WORDS=begun, COMP_CWORD=last)
    assert ended.out.split() == [offered]
