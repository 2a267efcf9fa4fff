"""`sluice loadtest run` as scripts use it: exit codes, refusals, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.sluice_command import PROGRAM, environment, sluice
from tests.integration.loadtests.stub_process import stub

SCENARIO = """
name: short
target: {target}
users: [{{name: one, payload: payload.jsonl, check: 1.0}}]
shape: [{{name: load, for_s: {seconds}, rate: 200}}]
gates: {gates}
"""
# A generator beside other tests is late by a tenth of this too seldom for the load to be invalid.
GOAL_MS = 5000


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with stub(fixed_s=0.001) as address:
        yield address


def written(folder: Path, target: str, gates: str, seconds: float = 1.0) -> Path:
    (folder / "payload.jsonl").write_text('{"path": "/", "body": {"x": 1}, "answer": {"y": 1}}\n')
    file = folder / "short.yaml"
    file.write_text(SCENARIO.format(target=target, gates=gates, seconds=seconds))
    return file


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "loadtest", "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)


def test_a_load_that_meets_its_gates_is_done_and_its_result_is_a_document(target: str, tmp_path: Path) -> None:
    ended = run(written(tmp_path, target, f"{{p99_ms: {GOAL_MS}, errors: 0}}"), "--gate", "--json", tmp_path / "r.json")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("passed\n")
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["verdict"] == "passed"
    assert found["totals"]["by_status"] == {"200": found["totals"]["requests"]}
    assert found["generator"]["lateness"]["p99_ms"] < GOAL_MS / 10


@pytest.mark.parametrize("command", ["run", "find-capacity"])
@pytest.mark.parametrize("name", ["short.yaml", "payload.jsonl"])
def test_what_a_load_is_made_of_is_not_overwritten_with_its_result(
    command: str, name: str, target: str, tmp_path: Path
) -> None:
    file = written(tmp_path, target, "{errors: 0}")
    before = (tmp_path / name).read_text()
    ended = sluice("loadtest", command, str(file), "--json", str(tmp_path / name))
    assert (ended.code, ended.out, (tmp_path / name).read_text()) == (2, "", before)
    assert ended.err == f"sluice: --json {tmp_path / name}: is a file that is read; name another one\n"


def test_a_result_becomes_every_form_of_a_report(target: str, tmp_path: Path) -> None:
    file, made = written(tmp_path, target, f"{{p99_ms: {GOAL_MS}}}"), tmp_path / "report"
    assert run(file, "--report", made).returncode == 0
    names = {"report.html", "result.json", "junit.xml", "summary.md"}
    assert {path.name for path in made.iterdir()} == names
    again = tmp_path / "again"
    ended = sluice("loadtest", "report", str(made / "result.json"), "--to", str(again))
    assert ended.code == 0, ended.err
    assert all((again / name).read_bytes() == (made / name).read_bytes() for name in names)
    assert sluice("loadtest", "report", str(file)).code == 2


def test_a_missed_gate_is_exit_code_4_where_it_is_to_be_one(target: str, tmp_path: Path) -> None:
    file = written(tmp_path, target, f"{{p50_ms: {GOAL_MS}, goodput: {{share: 1.0, within_ms: 0.2}}}}")
    assert run(file, "--gate").returncode == 4
    ended = run(file)
    assert ended.returncode == 0
    assert "missed  share within 0.2 ms" in ended.stdout


def test_a_generator_that_was_late_makes_the_load_invalid_and_exit_code_1(target: str, tmp_path: Path) -> None:
    # Nobody leaves within a ten-thousandth of a millisecond.
    ended = run(written(tmp_path, target, "{p99_ms: 0.001}"), "--gate")
    assert ended.returncode == 1
    assert "late at p99" in ended.stdout
    assert ended.stdout.endswith("invalid\n")


# What a script's shell starts in the background ignores the signal to begin with.
@pytest.mark.parametrize("started", [[], ["sh", "-c", 'trap "" INT; exec "$0" "$@"']], ids=["by hand", "by a script"])
def test_ctrl_c_reports_what_was_measured(target: str, tmp_path: Path, started: list[str]) -> None:
    command = [
        *started,
        *PROGRAM,
        "loadtest",
        "run",
        str(written(tmp_path, target, f"{{p99_ms: {GOAL_MS}}}", seconds=300)),
        *("--report", str(tmp_path / "report")),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        while " of 300 s" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        told = process.stdout.read()
    assert process.returncode == 130
    assert "\ninterrupted\n" in told
    assert "met     p99_ms" in told
    assert json.loads((tmp_path / "report" / "result.json").read_text())["verdict"] == "interrupted"


def test_what_cannot_be_asked_is_a_sentence(tmp_path: Path) -> None:
    away = run(written(tmp_path, "http://127.0.0.1:9", "{errors: 0}"))
    assert (away.returncode, away.stderr) == (3, "sluice: http://127.0.0.1:9 does not answer (Connection refused)\n")
    elsewhere = run(written(tmp_path, "http://192.0.2.1:80", "{errors: 0}"))
    assert elsewhere.returncode == 2
    assert "--yes-load 192.0.2.1" in elsewhere.stderr
    assert run("unknown").returncode == 2


def test_what_could_never_be_told_is_refused_before_anybody_is_asked(target: str, tmp_path: Path) -> None:
    ended = run(written(tmp_path, target, "{}"), "--gate")
    assert (ended.returncode, "short has no gates" in ended.stderr) == (2, True), ended.stderr
    ended = run(written(tmp_path, target, "{errors: 0}"), "--json", tmp_path / "nowhere" / "r.json")
    assert (ended.returncode, "cannot be written" in ended.stderr) == (2, True), ended.stderr
    ended = run(written(tmp_path, target, "{errors: 0}"), "--report", tmp_path / "payload.jsonl")
    assert (ended.returncode, "cannot be made" in ended.stderr) == (2, True), ended.stderr


def test_a_result_is_held_against_the_one_that_its_scenario_names(target: str, tmp_path: Path) -> None:
    file = written(tmp_path, target, "{}")
    file.write_text(file.read_text() + "reference: {result: before.json, p99: 100}\n")
    ended = run(file, "--gate")
    assert (ended.returncode, "before.json cannot be read" in ended.stderr) == (2, True), ended.stderr
    assert run(written(tmp_path, target, "{}"), "--json", tmp_path / "before.json").returncode == 0
    file.write_text(file.read_text() + "reference: {result: before.json, p99: 100}\n")
    ended = run(file, "--gate")
    # A second is too short for an interval, and so for this gate.
    assert (ended.returncode, "needs at least 10" in ended.stdout) == (4, True), ended.stdout
