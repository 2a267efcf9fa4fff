"""Growth of a process over its requests."""

from __future__ import annotations

import pytest

from benchmarks.under_load.memory import growth, named

REQUESTS = 1_000_000
AT = range(100_000, REQUESTS + 1, 100_000)


def test_what_a_process_takes_while_it_warms_up_is_no_growth() -> None:
    told = growth("gateway", [(at, 50.0 if at < 200_000 else 90.0) for at in AT], REQUESTS)
    assert told["grown_mb"] == pytest.approx(0, abs=1e-6)
    assert (told["first_mb"], told["warm_mb"], told["last_mb"]) == (50, 90, 90)


def test_a_leak_is_told_in_megabytes_a_million_requests() -> None:
    told = growth("gateway", [(at, 90 + at / 1e5) for at in AT], REQUESTS)
    assert told["mb_a_million"] == pytest.approx(10)
    assert told["grown_mb"] == pytest.approx(8)


def test_a_process_is_named_by_its_command_without_folders_also_where_it_wrote_a_title_of_its_own() -> None:
    assert named(["/opt/bin/python", "-m", "serving.gateway"]) == "python -m serving.gateway"
    title = "/opt/bin/valkey-server unixsocket:/tmp/run/features.sock      "
    assert named([title]) == "valkey-server features.sock"


def test_a_process_that_was_seen_once_has_no_slope() -> None:
    assert growth("short", [(REQUESTS, 12.0)], REQUESTS)["mb_a_million"] == 0
