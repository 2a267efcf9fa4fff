"""`sluice features load` of JSON Lines, and after it was killed, against a real Valkey."""

from __future__ import annotations

import csv
import json
import subprocess

import pytest

from tests.integration.cli.sluice_command import PROGRAM, ROOT, environment
from tests.integration.features.feature_commands import HEADER, Commands
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration


def test_a_load_that_was_killed_goes_on_and_loses_no_row(commands: Commands, server: Server) -> None:
    lines = [f"N{number},1999,{number},true" for number in range(400_000)]
    lines[10] = "N10,soon,10,true"
    path = commands.table("plane.csv", HEADER, *lines)
    with subprocess.Popen(
        [*PROGRAM, "features", "load", str(path), *commands.flags],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not list(server.client().scan_iter(b"sluice:f:@load:*", 100_000)):
            assert process.poll() is None
        process.kill()
    stored = server.client().dbsize()
    assert 10_000 < stored < 399_000
    # Whoever begins anew would write it again.
    server.client().delete(b"sluice:f:plane:2:N1")
    ended = commands.run("load", str(path), "--json")
    document = json.loads(ended.out)
    assert (ended.code, document["loaded"], document["rejected"]) == (1, 399_999, 1)
    assert document["resumed_after"] >= 20_000
    assert "where an interrupted load had come to; --restart begins anew" in ended.err
    assert "1 of 400,000 rows was rejected" in ended.err
    assert "the first: line 12, column year: 'soon' is no float32" in ended.err
    assert server.client().exists(b"sluice:f:plane:2:N1") == 0
    # All others, and no mark any more.
    assert server.client().dbsize() == 399_998
    with (commands.folder / "plane.csv.rejects.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["rejected.line", "12"]
    again = json.loads(commands.run("load", str(path), "--json").out)
    assert (again["resumed_after"], server.client().dbsize()) == (0, 399_999)


def test_json_lines_are_loaded_as_csv_is(commands: Commands) -> None:
    path = commands.table("plane.jsonl", '{"tailnum": "N1", "seats": 149}', '{"tailnum": "N2", "seat": 1}')
    ended = commands.run("load", str(path))
    assert ended.code == 1
    assert "the first: line 2: has the unknown field 'seat'; known are tailnum, year, seats, jet" in ended.err
    values = json.loads(commands.run("get", "plane", "--entity", "tailnum=N1", "--json").out)["values"]
    assert values == {"year": None, "seats": 149, "jet": None}


def test_rows_that_a_full_server_gives_up_meanwhile_are_told(commands: Commands, server: Server) -> None:
    client = server.client()
    path = commands.table("plane.csv", HEADER, *[f"N{number},1999,{number},true" for number in range(60_000)])
    policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    client.config_set("maxmemory-policy", "allkeys-lfu")
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 2_000_000)
    try:
        ended = commands.run("load", str(path), "--json")
    finally:
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", policy or "noeviction")
    document = json.loads(ended.out)
    assert (ended.code, document["loaded"]) == (0, 60_000)
    assert document["evicted"] >= 60_000 - client.dbsize() > 0
    assert f"the server was full and gave up {document['evicted']:,} rows meanwhile" in ended.err
    assert json.loads(commands.run("load", str(path), "--json").out)["evicted"] == 0
