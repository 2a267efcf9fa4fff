"""What is done to the server while it is asked."""

from __future__ import annotations

import pytest

from loadtests.running.chaos import Mark, command, judged
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


def test_an_action_that_was_not_done_is_a_missed_gate() -> None:
    done, failed = Mark("kill-replica", 1, 1, 2, 0, "killed"), Mark("kill-valkey", 2, 2, 3, 1, "not done: no session")
    hangs = Mark("start-rollout", 3, 3)
    gates = judged([done, failed, hangs], planned=4)
    assert [gate.met for gate in gates] == [True, False, False, False]
    assert "not done: no session" in str(gates[1])
    assert "only 3 were begun" in str(gates[3])
