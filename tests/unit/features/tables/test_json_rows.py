"""JSON Lines to rows; a line that is none is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.features.feature_view import FeatureView, feature
from serving.features.store.redis_store import EntityRow
from serving.features.tables.row_file import open_rows
from serving.features.tables.row_parser import BadRow

VIEW = FeatureView("v", ("id",), (feature("x"), feature("n", "int64"), feature("t", "bool")))
NOW_S = 1_700_000_000.0


def rows_of(path: Path, event_time: str | None = None) -> list[EntityRow | BadRow]:
    return list(open_rows(path, VIEW, event_time, NOW_S).rows)


def test_an_object_a_line_is_a_row_and_what_is_left_out_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text('{"id": "N1", "n": 9007199254740993, "t": true}\n\n{"x": 1.5, "id": 7, "n": null, "t": "false"}\n')
    assert rows_of(path) == [
        EntityRow(("N1",), [None, 9007199254740993, 1], NOW_S),
        EntityRow((7,), [1.5, None, 0], NOW_S),
    ]


def test_a_field_may_say_when_the_facts_held(tmp_path: Path) -> None:
    path = tmp_path / "v.ndjson"
    path.write_text('{"id": "N1", "at": "1970-01-01T00:01:00Z"}\n{"id": "N2", "at": 90.5}\n{"id": "N3"}\n')
    *good, bad = rows_of(path, "at")
    assert [row.event_time_s for row in good if isinstance(row, EntityRow)] == [60, 90.5]
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column) == (3, "at")


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ('{"id": "N1", "x": "one"}', "x", "'one' is no float32"),
        ('{"id": "N1", "x": [1]}', "x", "[1] is no float32"),
        ('{"x": 1}', "id", "is empty, and identifies the row"),
        ('{"id": 1.5}', "id", "1.5 is no id; ids are text or whole numbers"),
        ('{"id": "N1", "y": 1}', "", "has the unknown field 'y'; known are id, x, n, t"),
        ('{"id": "N1"', "", "is no JSON"),
        ("[1]", "", "must be an object, got an array"),
        ('"' + "x" * 3_000_000 + '"', "", "is longer than 1 MiB"),
    ],
)
def test_a_line_that_is_no_row_is_told_and_the_others_are_taken(
    tmp_path: Path, line: str, column: str, reason: str
) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(f'{{"id": "a"}}\n{line}\n{{"id": "b"}}\n')
    first, bad, last = rows_of(path)
    assert isinstance(first, EntityRow)
    assert isinstance(last, EntityRow)
    assert (first.entity, last.entity) == (("a",), ("b",))
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column) == (2, column)
    assert reason in bad.reason
    assert sum(len(str(cell)) for cell in bad.cells) < 2_000


def test_progress_comes_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text('{"id": "a"}\n' * 5_000)
    file = open_rows(path, VIEW, None, NOW_S)
    assert sum(len(block.rows) for block in file.blocks()) == 5_000
    assert file.done() == file.total == path.stat().st_size
