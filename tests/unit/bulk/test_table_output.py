"""Tables in each format have the rows that were put in."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.bulk.stopped import BulkStopped
from serving.bulk.table_output import RejectsFile, table_output

FIRST = pa.record_batch(
    {
        "id": ["a", 'quo"te', None],
        "p": pa.array([0.1, None, 3], pa.float32()),
        "v": pa.array([[0.1, 2]] * 3, pa.list_(pa.float32())),
    }
)
SECOND = pa.record_batch({"id": ["b"], "p": pa.array([1.5], pa.float32()), "v": pa.array([[]], pa.list_(pa.float32()))})


def written(path: Path, *batches: pa.RecordBatch) -> Path:
    with path.open("wb") as file:
        table = table_output(path.suffix, file, batches[0].schema)
        try:
            for batch in batches:
                table.add(batch)
        finally:
            table.close()
    return path


def test_parquet_has_the_columns_as_they_are(tmp_path: Path) -> None:
    assert pq.read_table(written(tmp_path / "o.parquet", FIRST, SECOND)) == pa.Table.from_batches([FIRST, SECOND])


def test_json_lines_have_floats_of_32_bits_as_they_are_read_again(tmp_path: Path) -> None:
    lines = written(tmp_path / "o.jsonl", FIRST, SECOND).read_text().splitlines()
    assert lines[0] == '{"id":"a","p":0.1,"v":[0.1,2.0]}'
    assert [json.loads(line)["p"] for line in lines] == [0.1, None, 3.0, 1.5]
    assert json.loads(lines[3]) == {"id": "b", "p": 1.5, "v": []}


def test_csv_has_lists_as_json_and_quotes_where_they_are_needed(tmp_path: Path) -> None:
    path = written(tmp_path / "o.csv", FIRST, SECOND)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["id", "p", "v"],
        ["a", "0.1", "[0.1,2.0]"],
        ['quo"te', "", "[0.1,2.0]"],
        ["", "3", "[0.1,2.0]"],
        ["b", "1.5", "[]"],
    ]
    plain = pa.record_batch({"id": ["a"], "n": [1]})
    assert written(tmp_path / "p.csv", plain).read_text() == "id,n\na,1\n"


def test_other_values_are_text_in_json(tmp_path: Path) -> None:
    batch = pa.record_batch(
        {
            "b": [b"x"],
            "d": pa.array([1], pa.decimal128(5, 2)),
            "t": pa.array([0], pa.timestamp("s")),
            "c": pa.array(["k"]).dictionary_encode(),
        }
    )
    assert (
        written(tmp_path / "o.jsonl", batch).read_text() == '{"b":"x","d":"1.00","t":"1970-01-01T00:00:00","c":"k"}\n'
    )
    assert written(tmp_path / "o.csv", batch.drop_columns(["b"])).read_text().startswith("d,t,c\n1.00,")


def test_a_column_that_changes_its_kind_is_told_where_parquet_cannot_hold_it(tmp_path: Path) -> None:
    first, second, third = (pa.record_batch({"k": column}) for column in ([1, 2], [None, None], ["word"]))
    assert pq.read_table(written(tmp_path / "o.parquet", first, second)).column("k").to_pylist() == [1, 2, None, None]
    with pytest.raises(BulkStopped, match=r"'k' holds int64 in the first rows .* write .jsonl or .csv"):
        written(tmp_path / "p.parquet", first, third)
    assert pq.read_table(written(tmp_path / "q.parquet", second, third)).column("k").to_pylist() == [None, None, "word"]


def test_the_file_of_rejects_is_made_with_the_first_one(tmp_path: Path) -> None:
    rejects = RejectsFile(tmp_path / "r.csv")
    assert not rejects.close()
    assert not rejects.path.exists()
    rejects.add(pa.record_batch({"row": [7], "reason": ["a, b"]}))
    assert rejects.close()
    assert rejects.path.read_text() == 'row,reason\n7,"a, b"\n'
