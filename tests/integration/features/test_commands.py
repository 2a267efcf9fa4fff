"""`sluice features load | get | set`, run as a person does, against a real Valkey."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.processes import running_sessions
from serving.processes.embedded_state import features_spec
from serving.processes.running_sessions import RunningSession
from serving.processes.session_members import started_at
from tests.integration.cli.sluice_command import PROGRAM, ROOT, environment
from tests.integration.features.feature_commands import CONFIG, HEADER, Commands
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration


def test_a_table_is_loaded_and_a_row_is_shown(commands: Commands) -> None:
    path = commands.table("plane.csv", HEADER, "N1,1999,149,true", "N2,,50,0")
    loaded = commands.run("load", str(path))
    assert (loaded.code, loaded.err) == (0, "")
    assert loaded.out.startswith("loaded 2 rows into plane in ")
    assert "rows/s" in loaded.out
    assert not list(commands.folder.glob("*.rejects.csv"))
    shown = commands.run("get", "plane", "--entity", "tailnum=N2")
    assert (shown.code, shown.err) == (0, "")
    first, *_, year, seats, jet = [line.split() for line in shown.out.splitlines()]
    assert first[:3] == ["plane,", "tailnum", "N2"]
    assert year == ["year", "absent,", "2001.5", "instead", "float32"]
    assert (seats, jet) == (["seats", "50", "int64"], ["jet", "False", "bool"])


def test_a_row_as_json_says_whether_it_is_used(commands: Commands) -> None:
    path = commands.table("planes.csv", HEADER + ",at", "N1,1999,149,true,2013-01-01T00:00:00Z")
    assert commands.run("load", str(path), "--view", "plane", "--event-time", "at").code == 0
    document = json.loads(commands.run("get", "plane", "--entity", "tailnum=N1", "--json").out)
    assert document.pop("age_s") > 1e8
    assert document == {
        "view": "plane",
        "entity": {"tailnum": "N1"},
        "status": "stale",
        "used": False,
        "event_time": "2013-01-01T00:00:00+00:00",
        "values": {"year": 1999.0, "seats": 149, "jet": True},
    }
    assert "too old: gateways use defaults" in commands.run("get", "plane", "--entity", "tailnum=N1").out


def test_bad_rows_go_to_a_file_with_the_reason_and_the_others_are_loaded(commands: Commands) -> None:
    path = commands.table("plane.csv", HEADER, "N1,old,149,true", "N2,0.1,50,0", ",2000,50,0", "N4,1,2")
    ended = commands.run("load", str(path))
    rejects = commands.folder / "plane.csv.rejects.csv"
    assert ended.code == 1
    assert ended.err == (
        f"sluice: 3 of 4 rows were rejected and stand in {rejects}; "
        "the first: line 2, column year: 'old' is no float32\n"
    )
    assert ended.out.startswith("loaded 1 row into plane")
    with rejects.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["rejected.line", "rejected.column", "rejected.reason", "tailnum", "year", "seats", "jet"],
            ["2", "year", "'old' is no float32", "N1", "old", "149", "true"],
            ["4", "tailnum", "is empty, and identifies the row", "", "2000", "50", "0"],
            ["5", "", "has 3 cells, the header has 4", "N4", "1", "2"],
        ]
    shown = commands.run("get", "plane", "--entity", "tailnum=N2").out
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("year")] == ["0.1"]


def test_a_load_is_told_to_programs_too(commands: Commands) -> None:
    path = commands.table("plane.csv", HEADER, "N1,old,149,true", "N2,2000,50,0")
    bad = commands.folder / "bad.csv"
    ended = commands.run("load", str(path), "--json", "--rejects", str(bad))
    document = json.loads(ended.out)
    assert (document["view"], document["loaded"], document["rejected"]) == ("plane", 1, 1)
    assert document["rejects"] == str(bad)
    assert ended.code == 1


def test_a_value_is_set_and_the_others_stay(commands: Commands) -> None:
    begun = commands.run("set", "plane", "--entity", "tailnum=N7", "--set", "seats=149", "--set", "year=1999")
    assert (begun.code, begun.out) == (0, "set seats, year of plane, tailnum N7, a new row\n")
    changed = commands.run("set", "plane", "--entity", "tailnum=N7", "--set", "seats=", "--set", "jet=true")
    assert changed.out == "set seats, jet of plane, tailnum N7\n"
    values = json.loads(commands.run("get", "plane", "--entity", "tailnum=N7", "--json").out)["values"]
    assert values == {"year": 1999.0, "seats": None, "jet": True}


def test_values_of_a_row_that_was_too_old_are_told_where_one_is_set(commands: Commands) -> None:
    path = commands.table("planes.csv", HEADER + ",at", "N1,1999,,true,2013-01-01T00:00:00Z")
    assert commands.run("load", str(path), "--view", "plane", "--event-time", "at").code == 0
    changed = commands.run("set", "plane", "--entity", "tailnum=N1", "--set", "seats=149")
    assert (changed.code, changed.out) == (0, "set seats of plane, tailnum N1\n")
    assert changed.err.startswith("the row was too old (")
    assert changed.err.endswith(" days ago): its year, jet count as fresh from now on; set what no longer holds\n")
    again = commands.run("set", "plane", "--entity", "tailnum=N1", "--set", "seats=150")
    assert (again.code, again.err) == (0, ""), "by now they are fresh"


def test_who_sets_all_values_of_a_row_that_was_too_old_is_told_nothing(commands: Commands) -> None:
    path = commands.table("planes.csv", HEADER + ",at", "N1,1999,,true,2013-01-01T00:00:00Z")
    assert commands.run("load", str(path), "--view", "plane", "--event-time", "at").code == 0
    ended = commands.run("set", "plane", "--entity", "tailnum=N1", "--set", "year=2000", "--set", "jet=")
    assert (ended.code, ended.err) == (0, "")


def test_an_entity_of_two_fields_needs_both(commands: Commands) -> None:
    both = ("--entity", "dest=IAH", "--entity", "origin=EWR")
    assert commands.run("set", "route", *both, "--set", "delay=1e300").code == 0
    assert "1e+300" in commands.run("get", "route", *both).out
    ended = commands.run("get", "route", "--entity", "dest=IAH")
    assert ended.code == 2
    assert ended.err == (
        "sluice: 'origin' is missing, which identifies a row of route: --entity origin=... --entity dest=...\n"
    )


def test_a_row_that_is_not_there_is_exit_code_1(commands: Commands) -> None:
    ended = commands.run("get", "plane", "--entity", "tailnum=N0")
    assert (ended.code, ended.out, ended.err) == (1, "", "sluice: there is no row of plane, tailnum N0\n")
    as_json = commands.run("get", "plane", "--entity", "tailnum=N0", "--json")
    assert as_json.code == 1
    assert json.loads(as_json.out)["status"] == "not_found"


def test_a_row_of_another_form_of_the_view_is_exit_code_1(commands: Commands) -> None:
    assert commands.run("set", "plane", "--entity", "tailnum=N1", "--set", "seats=1").code == 0
    commands.config.write_text(CONFIG.replace("seats: int64", "seats: int32"))
    ended = commands.run("get", "plane", "--entity", "tailnum=N1")
    assert ended.code == 1
    assert "was written for another form of the view; load it again" in ended.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("get", "ship", "--entity", "id=1"), "there is no feature view 'ship'; there are plane, route"),
        (("get", "plane", "--entity", "N1"), "--entity N1: must look like --entity NAME=VALUE"),
        (("get", "plane", "--entity", "tailnum=N1", "--entity", "id=1"), "'id' does not identify a row of plane"),
        (("set", "plane", "--entity", "tailnum=N1"), "nothing to set; name at least one feature"),
        (("set", "plane", "--entity", "tailnum=N1", "--set", "seats=x"), "--set seats: 'x' is no int64"),
        (
            ("set", "plane", "--entity", "tailnum=N1", "--set", "seat=1"),
            "has no feature 'seat'; it has year, seats, jet",
        ),
        (("load", "ship.csv"), "there is no feature view 'ship'"),
        (("load", "plane.csv"), "plane.csv cannot be read: No such file or directory"),
        (("load", "plane.csv", "--redis-url", "http://x"), "URL must begin with redis://"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(commands: Commands, arguments: tuple[str, ...], why: str) -> None:
    if "--redis-url" in arguments:
        commands.table("plane.csv", HEADER)
        commands.flags = commands.flags[:2]
    ended = commands.run(*arguments)
    assert ended.code == 2
    assert why in ended.err
    assert ended.err.startswith("sluice: ")
    assert len(ended.err.splitlines()) == 1
    assert ended.out == ""


def test_a_file_of_other_columns_is_refused_before_anything_is_loaded(commands: Commands) -> None:
    ended = commands.run("load", str(commands.table("plane.csv", "tailnum,year,seats", "N1,1,2")))
    assert ended.code == 2
    assert "the column 'jet' is missing; view 'plane' has tailnum, year, seats, jet" in ended.err


def test_a_server_that_is_away_is_exit_code_3(commands: Commands, server: Server) -> None:
    server.kill()
    path = commands.table("plane.csv", HEADER, "N1,1999,149,true")
    for arguments in (("load", str(path)), ("get", "plane", "--entity", "tailnum=N1")):
        ended = commands.run(*arguments)
        assert ended.code == 3
        assert ended.err.startswith("sluice: the features Redis does not answer: ")
        assert len(ended.err.splitlines()) == 1


def test_a_server_that_goes_away_meanwhile_is_exit_code_3_too(commands: Commands, server: Server) -> None:
    path = commands.table("plane.csv", HEADER, *(f"N{number},1999,149,true" for number in range(300_000)))
    with subprocess.Popen(
        [*PROGRAM, "features", "load", str(path), *commands.flags],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not server.client().dbsize():
            assert process.poll() is None
        server.kill()
        out, err = process.communicate()
    assert (process.returncode, out) == (3, "")
    assert err.startswith("sluice: the features Redis does not answer: ")
    assert len(err.splitlines()) == 1


def test_a_server_that_refuses_is_exit_code_1(commands: Commands, server: Server) -> None:
    server.client().config_set("maxmemory", "1kb")
    ended = commands.run("load", str(commands.table("plane.csv", HEADER, "N1,1999,149,true")))
    assert ended.code == 1
    assert "the features Redis refuses" in ended.err


def test_without_a_session_and_without_an_address_it_is_exit_code_3(commands: Commands) -> None:
    commands.flags = commands.flags[:2]
    ended = commands.run("get", "plane", "--entity", "tailnum=N1", "--http-port", "1")
    assert ended.code == 3
    assert "no session of yours runs on port 1, and no --redis-url is given" in ended.err


def test_the_running_sessions_own_store_is_found_by_its_port(
    commands: Commands, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(commands.folder))
    socket = features_spec(commands.folder, 64).socket
    this = RunningSession(
        session="s",
        pid=os.getpid(),
        started=started_at(os.getpid()),
        run_dir=str(commands.folder),
        engine="ray",
        http_host="127.0.0.1",
        http_port=18_081,
        metrics_host="127.0.0.1",
        metrics_port=None,
    )
    running_sessions.write(this)
    commands.flags = (*commands.flags[:2], "--http-port", "18081")
    arguments = ("set", "plane", "--entity", "tailnum=N1", "--set", "seats=1")
    ended = commands.run(*arguments)
    assert ended.code == 3
    assert "the session on port 18081 has no features Redis of its own" in ended.err
    socket.symlink_to(server.socket)
    assert commands.run(*arguments).code == 0
    assert server.client().keys() == [b"sluice:f:plane:2:N1"]
    commands.flags = (*commands.flags[:2], "--http-port", "18082")
    elsewhere = commands.run(*arguments)
    assert elsewhere.code == 3
    assert "name another one with --http-port: 18081" in elsewhere.err


def test_without_views_the_configuration_is_asked_for(commands: Commands) -> None:
    commands.config.write_text("http: {port: 8080}\n")
    ended = commands.run("get", "plane", "--entity", "tailnum=N1")
    assert ended.code == 2
    assert ended.err == "sluice: no feature view is configured; name the file that has them with --config\n"


def test_who_watches_a_terminal_sees_progress_and_the_rate(commands: Commands) -> None:
    path = commands.table("plane.csv", HEADER, *(f"N{number},1999,149,true" for number in range(30_000)))
    outer, inner = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "features", "load", str(path), *commands.flags],
        cwd=ROOT,
        env=environment(TERM="xterm", COLUMNS="120"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=inner,
    ) as process:
        os.close(inner)
        shown = b""
        try:
            while data := os.read(outer, 65_536):
                shown += data
        except OSError:
            # How Linux says that the last one who wrote to the terminal has gone.
            pass
        finally:
            os.close(outer)
        assert process.stdout is not None
        said = process.stdout.read().decode()
    assert process.returncode == 0
    assert "loading plane" in shown.decode()
    assert "rows/s" in shown.decode()
    assert said.startswith("loaded 30,000 rows into plane")


def test_a_parquet_file_that_is_broken_in_the_middle_is_told_with_its_row(commands: Commands) -> None:
    path = commands.folder / "plane.parquet"
    count = 60_000
    columns = {"tailnum": [f"N{n}" for n in range(count)], "year": [float(n) for n in range(count)]}
    table = pa.table({**columns, "seats": list(range(count)), "jet": [True] * count})
    pq.write_table(table, path, compression="zstd", row_group_size=20_000)
    broken = bytearray(path.read_bytes())
    # In the last group of rows, whose pages are found by the file's end.
    place = len(broken) * 3 // 4
    broken[place : place + 4_000] = bytes(4_000)
    path.write_bytes(broken)
    ended = commands.run("load", str(path))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"sluice: {path}: row ")
    assert "cannot be read: " in ended.err
    assert ended.err.endswith("; rows before it may be loaded, load the mended file again\n")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"tailnum;year;seats;jet\nN1;1;2;0\n", "the file 'tailnum;year;seats;jet'"),
        ("tailnum,year,seats,jet\n".encode("utf-16"), "the file '"),
        (bytes(range(1, 255)), "the file '"),
        (b"\xef\xbb\xbf", "it is empty"),
    ],
)
def test_a_file_that_is_no_such_table_says_what_was_found(commands: Commands, content: bytes, said: str) -> None:
    path = commands.folder / "plane.csv"
    path.write_bytes(content)
    ended = commands.run("load", str(path))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.isprintable() or ended.err[:-1].isprintable()
    assert ended.err.count("\n") == 1


def test_rows_for_a_changed_view_are_loaded_beside_those_in_use(commands: Commands) -> None:
    old, new = commands.table("old.csv", HEADER, "N1,1999,149,1"), commands.table("new.csv", "tailnum,year", "N1,2004")
    assert commands.run("load", str(old), "--view", "plane").code == 0
    in_use = commands.config.read_text()
    next_form = "{entity: [tailnum], generation: 2, features: {year: int32}}"
    commands.config.write_text(f"feature_views:\n  plane: {next_form}\n")
    assert commands.run("load", str(new), "--view", "plane").code == 0

    def values() -> object:
        return json.loads(commands.run("get", "plane", "--entity", "tailnum=N1", "--json").out)["values"]

    assert values() == {"year": 2004}
    commands.config.write_text(in_use)
    assert values() == {"year": 1999.0, "seats": 149, "jet": True}


def test_a_value_out_of_range_is_rejected_whoever_writes_it(commands: Commands) -> None:
    ranged = "seats: {dtype: int64, range: [1, 900]}"
    commands.config.write_text(CONFIG.replace("seats: int64", ranged))
    ended = commands.run("load", str(commands.table("plane.csv", HEADER, "N1,1999,901,1", "N2,1999,900,1")))
    assert ended.code == 1
    assert "line 2, column seats: '901' is out of range, from 1 to 900" in ended.err
    assert ended.out.startswith("loaded 1 row")
    refused = commands.run("set", "plane", "--entity", "tailnum=N1", "--set", "seats=0")
    assert (refused.code, refused.err) == (2, "sluice: --set seats: '0' is out of range, from 1 to 900\n")
