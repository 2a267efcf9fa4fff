"""What is done to the server while it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.running.chaos import ChaosRun, Mark, command, judged, stopped
from loadtests.scenario.reading import find, read, ready
from loadtests.scenario.scenario import Chaos
from serving.errors import ConfigInvalid


def test_an_action_is_a_program_of_the_session_that_is_asked() -> None:
    line = command(Chaos(at_s=1, do="kill-replica", arguments={"pool": "default"}), 8123)
    assert line[1:] == ["-m", "loadtests.chaos.kill_replica", "--http-port", "8123", "--pool", "default"]
    other = command(Chaos(at_s=1, do="kill-worker", arguments={"http-port": 9}), 8123)
    assert other[3:] == ["--http-port", "9"]


def test_a_program_that_is_not_there_is_told_before_anything_is_asked() -> None:
    with pytest.raises(ConfigInvalid, match="no program 'kill-server'"):
        command(Chaos(at_s=1, do="kill-server"), 8080)


@pytest.mark.parametrize(
    ("do", "arguments", "said"),
    [
        ("kill-valkey", {"wich": "features"}, "unrecognized arguments: --wich features"),
        ("kill-valkey", {"which": "both"}, "invalid choice: 'both'"),
        ("slow-valkey", {"share": 2}, "2 is not between 0.01 and 1"),
        ("slow-valkey", {"for-s": "nan"}, "nan is not between 0.1 and 240"),
        ("slow-valkey", {"for-s": "long"}, "invalid number value: 'long'"),
        ("start-rollout", {"version": 3}, "the following arguments are required: --model"),
        ("kill-worker", {"help": ""}, "chaos: kill-worker"),
    ],
)
def test_options_that_a_program_does_not_have_are_told_before_anything_is_asked(
    do: str, arguments: dict[str, str | int | float], said: str
) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        command(Chaos(at_s=1, do=do, arguments=arguments), 8080)
    assert said in refused.value.message
    assert "--help` tells" in refused.value.message


@pytest.mark.parametrize("name", ready())
def test_what_the_ready_scenarios_do_can_be_done(name: str) -> None:
    for action in read(find(name)).chaos:
        assert command(action, 8080)


def test_an_action_that_was_not_done_is_a_missed_gate() -> None:
    done, failed = Mark("kill-replica", 1, 1, 2, 0, "killed"), Mark("kill-valkey", 2, 2, 3, 1, "not done: no session")
    hangs = Mark("start-rollout", 3, 3)
    gates = judged([done, failed, hangs], planned=4)
    assert [gate.met for gate in gates] == [True, False, False, False]
    assert "not done: no session" in str(gates[1])
    assert "only 3 were begun" in str(gates[3])


@pytest.mark.parametrize("name", ["session", "commands"])
def test_what_programs_have_in_common_is_no_program(name: str) -> None:
    with pytest.raises(ConfigInvalid, match="no program"):
        command(Chaos(at_s=1, do=name), 8080)


UNDOING = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("undone") or 3))
open(sys.argv[1], "w").close()
signal.pause()
"""


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChaosRun]:
    """With an action that has begun and takes for ever."""
    os.mkfifo(tmp_path / "ready")
    monkeypatch.setattr(
        "loadtests.running.chaos.command", lambda *_: [sys.executable, "-c", UNDOING, str(tmp_path / "ready")]
    )
    with ChaosRun([Chaos(at_s=0, do="slow-valkey")], 8080) as run:
        run.begin(time.monotonic())
        (tmp_path / "ready").read_text()
        yield run


def test_what_was_begun_undoes_itself_when_the_load_is_given_up(begun: ChaosRun) -> None:
    (mark,) = begun.end(at_once=True)
    assert (mark.status, mark.said) == (3, "undone")


def test_ctrl_c_while_actions_are_waited_for_loses_nothing(begun: ChaosRun, monkeypatch: pytest.MonkeyPatch) -> None:
    join, interrupts = begun._join, [KeyboardInterrupt()]

    def interrupted() -> None:
        if interrupts:
            raise interrupts.pop()
        join()

    monkeypatch.setattr(begun, "_join", interrupted)
    assert [mark.said for mark in begun.end()] == ["undone"]


def test_a_program_that_takes_too_long_undoes_itself_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ready")
    line = [sys.executable, "-c", UNDOING, str(tmp_path / "ready")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        (tmp_path / "ready").read_text()
        assert stopped(program) == "undone\n"
