"""However a command ends, people see a sentence and scripts an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from serving.cli.failure import not_reachable
from serving.cli.main import main
from serving.errors import BadRequest, ConfigInvalid, ModelUnservable


def ended(monkeypatch: pytest.MonkeyPatch, app: Callable[[], None]) -> object:
    monkeypatch.setitem(sys.modules, "serving.cli.command_line", SimpleNamespace(app=lambda **_: app()))
    with pytest.raises(SystemExit) as ending:
        main()
    return ending.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigInvalid("what is wrong"), 2),
        (BadRequest("what is wrong"), 2),
        (ModelUnservable("what is wrong"), 1),
        (not_reachable("what is wrong"), 3),
        (RuntimeError("what is wrong"), 1),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLUICE_DEBUG", raising=False)

    def fail() -> None:
        raise error

    assert ended(monkeypatch, fail) == code
    told = capsys.readouterr().err
    assert told.startswith("sluice: ")
    assert "what is wrong" in told
    assert told.count("\n") == 1


def test_ctrl_c_before_a_command_has_begun_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert ended(monkeypatch, interrupt) == 130
    assert capsys.readouterr().err == ""
