"""Lanes of tests side by side: each test is run once, and one that hangs or crashes fails and stops no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONFTEST = """
import os
from tests.lanes.claims import claims_of
from tests.lanes.time_limit import TimeLimit

def pytest_configure(config):
    config.pluginmanager.register(TimeLimit(os.dup(2)))
    if claims := claims_of(os.environ):
        config.pluginmanager.register(claims)
"""
RUN = """
import sys
from tests.lanes import run
from tests.lanes.running_lane import Lane
sys.exit(run.main([[%s]]))
"""
TWO = """Lane("one", (".",)), Lane("two", (".",))"""
HELPED = """Lane("help", (".",), after="short"), Lane("short", ("first.py",))"""
HANGS = """
import ctypes, time

def test_fails(): assert "this" == "that"

def test_before(): pass

def test_hangs():
    print("what it said")
    time.sleep(60)

def test_crashes(): ctypes.string_at(0)

def test_after(): pass
"""


def run_lanes(folder: Path, lanes: str = TWO, **files: str) -> tuple[int, str]:
    """Exit code and output of these lanes, by default two that share these files."""
    (folder / "conftest.py").write_text(CONFTEST)
    options = "timeout = 2\nasyncio_default_fixture_loop_scope = function\naddopts = -p no:cacheprovider -p no:locust"
    (folder / "pytest.ini").write_text(f"[pytest]\n{options}\n")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    # The claims of the lane that this test runs in are none of theirs.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    ended = subprocess.run(
        [sys.executable, "-c", RUN % lanes],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=110,
        check=False,
    )
    return ended.returncode, ended.stdout


def test_each_file_is_run_by_one_lane(tmp_path: Path) -> None:
    text = (
        f"from pathlib import Path\n\ndef test_it(): Path({str(tmp_path / 'ran')!r}).open('a').write(__file__ + ' ')\n"
    )
    names = [f"test_{number}" for number in range(6)]
    code, told = run_lanes(tmp_path, **dict.fromkeys(names, text))
    assert code == 0, told
    assert sorted((tmp_path / "ran").read_text().split()) == [str(tmp_path / f"{name}.py") for name in names]
    assert "one      passed" in told
    assert "two      passed" in told


def test_a_lane_that_comes_after_another_takes_what_is_left_also_where_that_failed(tmp_path: Path) -> None:
    passes = "def test_it(): pass\n"
    code, told = run_lanes(tmp_path, HELPED, first="def test_it(): assert 1 == 2\n", test_1=passes, test_2=passes)
    assert code == 1
    assert told.index("short    ended") < told.index("help     ended")
    assert "help     passed  2 passed" in told


def test_one_that_fails_fails_the_run_and_its_lane_is_shown(tmp_path: Path) -> None:
    code, told = run_lanes(tmp_path, test_good="def test_it(): pass\n", test_bad="def test_it(): assert 1 == 2\n")
    assert code == 1
    assert "assert 1 == 2" in told
    assert told.count(" FAILED  ") == 1
    assert "FAILED test_bad.py::test_it (call)" in told


def test_a_file_that_cannot_be_imported_fails_both(tmp_path: Path) -> None:
    code, told = run_lanes(tmp_path, test_good="def test_it(): pass\n", test_bad="import nowhere_to_be_found\n")
    assert code == 1
    assert told.count("No module named 'nowhere_to_be_found'") >= 2
    assert told.count(" FAILED  1 error in") == 2


@pytest.mark.slow
def test_one_that_hangs_and_one_that_crashes_fail_and_the_others_are_run(tmp_path: Path) -> None:
    code, told = run_lanes(tmp_path, test_file=HANGS)
    assert code == 1
    assert "test_file.py::test_hangs took more than 2 s; what it said:\nwhat it said" in told
    assert "in test_hangs" in told
    # Also what failed before is told, though pytest was ended before it could.
    assert 'assert "this" == "that"' in told
    (last,) = [line for line in told.splitlines() if " FAILED  " in line]
    assert "1 passed" in last
    assert last.endswith("ENDED BY test_file.py::test_hangs; ENDED BY test_file.py::test_crashes")
