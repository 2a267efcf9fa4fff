"""Tables are read block by block, from any row on, and what is broken is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.bulk import table_input
from serving.bulk.column_fit import Kind
from serving.bulk.stopped import BulkStopped
from serving.bulk.table_input import open_table
from serving.errors import BadRequest

ROWS = 1_000
TABLE = pa.table({"id": [f"r{n}" for n in range(ROWS)], "x": pa.array(range(ROWS), pa.int64())})


@pytest.fixture(params=["parquet", "csv", "jsonl"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table in each format, read in many small blocks."""
    monkeypatch.setattr(table_input, "_FIRST_BYTES", 700)
    monkeypatch.setattr(table_input, "BLOCK_ROWS", 7)
    path = tmp_path / f"in.{request.param}"
    if request.param == "parquet":
        pq.write_table(TABLE, path, row_group_size=64)
    elif request.param == "csv":
        path.write_text("\ufeffid,x\n" + "".join(f"r{n},{n}\n" for n in range(ROWS)))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()))
    return path


def rows_of(path: Path, skip: int = 0, names: tuple[str, ...] = ("x", "id")) -> list[dict[str, Any]]:
    return [row for block in open_table(path).blocks(skip, names) for row in block.rows.to_pylist()]


@pytest.mark.parametrize("skip", [0, 1, 6, 7, 63, 64, 65, 128, 999, 1_000, 1_001])
def test_rows_are_read_in_order_from_any_row_on(path: Path, skip: int) -> None:
    assert [(row["id"], int(row["x"])) for row in rows_of(path, skip)] == [(f"r{n}", n) for n in range(skip, ROWS)]


def test_only_the_columns_asked_for_are_read_in_the_order_asked_for(path: Path) -> None:
    assert list(rows_of(path)[0]) == ["x", "id"]
    assert list(rows_of(path, names=("x",))[0]) == ["x"]


def test_columns_are_told_with_what_they_hold(path: Path) -> None:
    table = open_table(path)
    assert [(column.name, column.kind) for column in table.columns] == [("id", Kind.TEXT), ("x", Kind.NUMBER)]


def test_the_share_that_was_read_grows_to_the_whole(path: Path) -> None:
    table = open_table(path)
    shares = [table.share() for _ in table.blocks(0, ("x",))]
    assert shares == sorted(shares)
    # CSV is read some blocks ahead.
    assert shares[0] < 0.2 or path.suffix == ".csv"
    assert shares[-1] == 1


def test_a_cell_of_csv_is_text_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('id,x\n007,1.50\n,"a\nb"\n')
    assert rows_of(path) == [{"id": "007", "x": "1.50"}, {"id": None, "x": "a\nb"}]


def test_a_line_that_is_no_json_rejects_its_row_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"x": 1}\nnope\n\n[1]\n{"y": 2}')
    (block,) = open_table(path).blocks(0, ("x",))
    assert block.rows.column("x").to_pylist() == [1, None, None, None]
    assert {row: why[:11] for row, why in block.bad.items()} == {1: "is no JSON:", 2: "is no JSON "}


def test_values_of_several_kinds_are_their_json(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"x": 1, "v": [1, 2]}\n{"x": "a", "v": [3]}\n{"x": {"b": null}, "v": null}\n')
    assert [row["x"] for row in rows_of(path, names=("x", "v"))] == ["1", "a", '{"b": null}']
    assert [row["v"] for row in rows_of(path, names=("x", "v"))] == [[1, 2], [3], None]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("in.txt", b"", "must end with .parquet, .csv or .jsonl"),
        ("in.csv", b"", "is empty; the first line names the columns"),
        ("in.csv", b"a\xff\n", "cannot be read"),
        ("in.jsonl", b"1\n", "has no line with a JSON object"),
        ("in.parquet", b"PAR1", "cannot be read"),
        ("in.csv", None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRequest, match=says):
        open_table(tmp_path / name)


def test_what_is_broken_in_the_middle_is_told_with_the_last_good_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_input, "_FIRST_BYTES", 64)
    path = tmp_path / "in.csv"
    path.write_text("a,b\n" + "1,2\n" * 100 + "1,2,3\n")
    table = open_table(path)
    with pytest.raises(BulkStopped, match=r"cannot be read after row \d+: .*Expected 2 columns, got 3"):
        list(table.blocks(0, ("a",)))


def test_a_row_group_of_wide_rows_is_read_in_small_blocks(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    numbers = np.random.default_rng(0).normal(size=(100, 20_000)).astype(np.float32)
    wide = pa.FixedSizeListArray.from_arrays(numbers.ravel(), 20_000)
    pq.write_table(pa.table({"x": wide}), path)
    sizes = [block.rows.num_rows for block in open_table(path).blocks(0, ("x",))]
    assert sum(sizes) == 100
    assert max(sizes) < 60
