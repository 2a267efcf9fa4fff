"""Locust's own command with the users of the lean generator."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from tests.integration.cli.sluice_command import ROOT, environment
from tests.integration.loadtests.stub_process import stub

SCENARIO = """
name: stub
users: [{name: one, payload: payload.jsonl, check: 1.0}]
shape: [{for_s: 1, rate: 1}]
"""


def locust(folder: Path, host: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With fifty users of ten requests a second each, for some seconds."""
    (folder / "payload.jsonl").write_text('{"path": "/", "body": {"x": 1}, "answer": {"y": 1}}\n')
    (folder / "stub.yaml").write_text(SCENARIO)
    command = [
        *(sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests/locustfile.py"), "--headless"),
        *("--host", host, "-u", "50", "-r", "50", "-t", "4s", "--csv", str(folder / "figures"), *arguments),
    ]
    scenario = environment(SLUICE_SCENARIO=str(folder / "stub.yaml"))
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=scenario, cwd=ROOT, check=False)


def test_locust_counts_what_the_generator_asked_and_the_wrong_answers_among_it(tmp_path: Path) -> None:
    with stub(fixed_s=0.005, wrong_every=100) as host:
        ended = locust(tmp_path, host)
    # Failures are exit code 1 of Locust itself.
    assert ended.returncode == 1, ended.stderr
    with (tmp_path / "figures_stats.csv").open() as file:
        (row,) = [row for row in csv.DictReader(file) if row["Name"] == "one"]
    count = int(row["Request Count"])
    # Fifty users are 500 a second once the generator has begun.
    assert 100 < count < 2_600
    assert abs(int(row["Failure Count"]) - count / 100) <= 1
    assert 4 < float(row["Median Response Time"]) < 20
    assert "wrong answer" in (tmp_path / "figures_failures.csv").read_text()


def test_a_host_that_was_not_permitted_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    ended = locust(tmp_path, "http://192.0.2.1:80")
    assert ended.returncode == 2
    assert "sluice: 192.0.2.1 is not this machine; --yes-load 192.0.2.1" in ended.stderr


LATE = """
from loadtests.judging.self_check import SelfCheck
from loadtests.locusts.engine import Engine
from loadtests.locusts.users import OpenLoopUser

Engine.check = lambda self: SelfCheck((f"made late with seed {self.seed}",), (), {})


class OpenLoop(OpenLoopUser):
    pass
"""


def test_a_master_tells_that_a_worker_s_generator_could_not_keep_up(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(LATE)
    with stub() as host:
        ended = locust(tmp_path, host, "-f", str(tmp_path / "late.py"), "-t", "1s", "--processes", "2")
    assert ended.returncode == 1, ended.stderr
    # The file is the master's. Workers that drew from one seed would ask in step.
    told = (tmp_path / "figures_failures.csv").read_text()
    assert "made late with seed 1" in told
    assert "made late with seed 2" in told
