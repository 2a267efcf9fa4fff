"""The rejects file of `sluice features load`: mended and loaded, of this load alone, and never the table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.features.feature_commands import HEADER, Commands
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration

LEADING = ["rejected.line", "rejected.column", "rejected.reason"]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def values(commands: Commands, tailnum: str) -> object:
    return json.loads(commands.run("get", "plane", "--entity", f"tailnum={tailnum}", "--json").out)["values"]


def test_what_was_rejected_is_mended_and_loaded(commands: Commands) -> None:
    bad = ["N1,old,149,true", "N2,1999,149", 'N3,"1999,149,true']
    path = commands.table("plane.csv", HEADER, *bad, "N4,2000,50,false")
    assert "3 of 4 rows were rejected" in commands.run("load", str(path)).err
    rejects = commands.folder / "plane.csv.rejects.csv"
    head, old, short, quoted = rows_of(rejects)
    assert head == [*LEADING, *HEADER.split(",")]
    assert (quoted[0], quoted[3:]) == ("4", ['N3,"1999,149,true'])
    with rejects.open("w", newline="") as file:
        mended = [[*old[:4], "1999", *old[5:]], short, [*quoted[:3], "N3", "1999", "149", "true"]]
        csv.writer(file).writerows([head, *mended])
    ended = commands.run("load", str(rejects), "--view", "plane")
    assert ended.err == (
        f"sluice: 1 of 3 rows was rejected and stands in {rejects}.rejects.csv; "
        "the first: line 3: has 3 cells, the header has 4\n"
    )
    # A rejects file of a rejects file is no other.
    again = commands.folder / "plane.csv.rejects.csv.rejects.csv"
    head, short = rows_of(again)
    assert (head, short[3:]) == ([*LEADING, *HEADER.split(",")], ["N2", "1999", "149"])
    with again.open("a", newline="") as file:
        csv.writer(file).writerow(["", "", "", "N5", "", "7", "false"])
    assert "loaded 1 row " in commands.run("load", str(again), "--view", "plane").out
    for tailnum in ("N1", "N3"):
        assert values(commands, tailnum) == {"year": 1999.0, "seats": 149, "jet": True}
    assert values(commands, "N5") == {"year": None, "seats": 7, "jet": False}


def test_what_was_rejected_of_other_tables_is_mended_as_csv_is(commands: Commands) -> None:
    lines = commands.table("plane.jsonl", '{"tailnum": "N1", "year": "old", "jet": true}')
    assert commands.run("load", str(lines)).code == 1
    parquet = commands.folder / "plane.parquet"
    columns = {"tailnum": pa.array([b"N2"]), "year": [float("inf")], "seats": [149], "jet": [True]}
    pq.write_table(pa.table(columns), parquet)
    assert commands.run("load", str(parquet)).code == 1
    for path, wrong in ((lines, "old"), (parquet, "inf")):
        rejects = path.with_name(f"{path.name}.rejects.csv")
        head, row = rows_of(rejects)
        with rejects.open("w", newline="") as file:
            csv.writer(file).writerows([head, ["1999" if cell == wrong else cell for cell in row]])
        assert commands.run("load", str(rejects), "--view", "plane").code == 0
    assert values(commands, "N1") == {"year": 1999.0, "seats": None, "jet": True}
    assert values(commands, "N2") == {"year": 1999.0, "seats": 149, "jet": True}


def test_the_rejects_of_an_earlier_load_do_not_stay(commands: Commands) -> None:
    assert commands.run("load", str(commands.table("plane.csv", HEADER, "N1,old,149,true"))).code == 1
    rejects = commands.folder / "plane.csv.rejects.csv"
    assert rejects.exists()
    path = commands.table("plane.csv", HEADER, "N1,1999,149,true")
    assert commands.run("load", str(path)).code == 0
    assert not rejects.exists()
    notes = commands.table("notes.txt", "mine")
    assert commands.run("load", str(path), "--rejects", str(notes)).code == 0
    assert notes.read_text() == "mine\n"


def test_the_table_is_not_taken_for_its_rejects(commands: Commands, server: Server) -> None:
    path = commands.table("plane.csv", HEADER, "N1,old,149,true", "N2,1999,149,true")
    text, settings = path.read_text(), commands.config.read_text()
    (commands.folder / "linked.csv").symlink_to(path)
    (commands.folder / "second.csv").hardlink_to(path)
    for name in ("plane.csv", "linked.csv", "second.csv", "../" + commands.folder.name + "/plane.csv", "sluice.yaml"):
        ended = commands.run("load", str(path), "--rejects", name)
        assert ended.code == 2
        assert ended.err == f"sluice: --rejects {name}: is a file that is read; name another one\n"
    assert (path.read_text(), commands.config.read_text()) == (text, settings)
    assert server.client().dbsize() == 0
