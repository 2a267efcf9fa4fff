"""The demo is what a newcomer sees first: it starts everything, predicts real flights, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.doubling import LONG
from tests.integration.cli.sluice_command import PROGRAM, ROOT, environment, sluice

# A features store that waits for a core is not away.
READS_MS = "5000"
PORTS = ("--http-port", "0", "--metrics-port", "0")


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("sluice-")]


def check_what_is_shown(out: str) -> None:
    assert re.search(r"flight +route +departure +chance late +prediction +outcome +version +latency", out)
    assert len(re.findall(r"(?:on time|late) \([+-]\d+ min\)", out)) == 12
    assert "loaded rows of features: 4,032 of plane, 16 of carrier, 220 of route" in out
    assert "year 2002, seats 200, mean_delay 3.1239, on_time_rate 0.775" in out
    assert "200 real ones of October to December 2013, 39 of them late" in out
    # The same flights and the same trees: whatever serves them answers the same.
    found = re.search(r"AUC +(0\.\d{4}) by ids, (0\.\d{4}) of the finished rows offline", out)
    assert found is not None
    assert found[1] == found[2]
    assert round(float(found[1]), 3) == 0.657
    assert re.search(r"first prediction \d+\.\d\d s after the command began", out)
    assert "stopped cleanly" in out


def test_once_predicts_real_flights_with_the_in_process_engine_and_stops_cleanly(tmp_path: Path) -> None:
    ended = sluice(
        "demo",
        "--once",
        "--engine",
        "in-process",
        *PORTS,
        TMPDIR=str(tmp_path),
        timeout_s=60,
        SLUICE_STATE__FEATURES_TIMEOUT_MS=READS_MS,
    )
    assert ended.code == 0, ended.out + ended.err
    check_what_is_shown(ended.out)
    assert left_behind(tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_once_predicts_real_flights_with_the_ray_engine_and_stops_cleanly() -> None:
    ended = sluice("demo", "--once", *PORTS, timeout_s=150, SLUICE_STATE__FEATURES_TIMEOUT_MS=READS_MS)
    assert ended.code == 0, ended.out + ended.err
    check_what_is_shown(ended.out)


@pytest.mark.timeout(120)
def test_a_version_that_raises_is_rolled_back_before_ones_eyes_and_the_exit_code_says_so(tmp_path: Path) -> None:
    # Nobody is refused for load: that would be an error of stable's.
    command = ("demo", "--canary", "bad", "--engine", "in-process", *PORTS)
    ended = sluice(*command, timeout_s=100, TMPDIR=str(tmp_path), SLUICE_MODELS__FLIGHT_DELAY__DEADLINE_MS="20000")
    assert ended.code == 4, ended.out + ended.err
    assert re.search(r"step 1 of 2, 20 % to version 3: from now on both are compared", ended.out)
    assert re.search(r"rolled back, 0 % to version 3: errors \d+/\d+ on the canary against 0/", ended.out)
    assert re.search(r"a moment later all are answered by version 1; [\d,]+ errors", ended.out)
    assert ended.err.strip() == "sluice: the version was not promoted"
    assert left_behind(tmp_path) == []


@pytest.mark.skipif(not LONG, reason="SLUICE_LONG=1 plays every version")
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("canary", "code", "says"),
    [
        ("good", 0, r"promoted, 100 % to version 2"),
        ("slow", 4, r"rolled back, 0 % to version 4: runs over the bound"),
        ("shifted", 4, r"paused, \d+ % to version 5: [\d,]+ scores of the canary lie otherwise"),
    ],
)
def test_each_other_version_comes_to_its_end_within_about_two_minutes(canary: str, code: int, says: str) -> None:
    ended = sluice("demo", "--canary", canary, "--engine", "in-process", *PORTS, timeout_s=200)
    assert ended.code == code, ended.out + ended.err
    assert re.search(says, ended.out), ended.out


def test_without_once_it_stays_up_until_it_is_interrupted(tmp_path: Path) -> None:
    command = [*PROGRAM, "demo", "--engine", "in-process", *PORTS]
    log = tmp_path / "out"
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(TMPDIR=str(tmp_path)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        ends_at = time.monotonic() + 60
        while "callers go on asking" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < ends_at, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    check_what_is_shown(log.read_text())
    assert left_behind(tmp_path) == []
