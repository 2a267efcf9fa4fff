"""Tables to rows; a row that cannot be taken is told with line, column and reason."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.errors import BadRequest
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import row_key
from serving.features.packed import RowLayout
from serving.features.store.redis_store import EntityRow
from serving.features.tables.row_file import open_rows
from serving.features.tables.row_parser import BadRow

VIEW = FeatureView(
    "v", ("id", "place"), (feature("x"), feature("n", "int64"), feature("small", "int32"), feature("t", "bool"))
)
HEADER = "id,place,x,n,small,t"
NOW_S = 1_700_000_000.0


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "v.csv"


def taken(path: Path, event_time: str | None = None) -> tuple[list[EntityRow], list[BadRow]]:
    rows = list(open_rows(path, VIEW, event_time, NOW_S).rows)
    return [row for row in rows if isinstance(row, EntityRow)], [row for row in rows if isinstance(row, BadRow)]


def test_cells_become_values_of_their_dtypes(table: Path) -> None:
    table.write_text(f"{HEADER}\nN1,EWR,1.5,9007199254740993,-4,true\n7,a b,,2004.0,,0\n", encoding="utf-8")
    assert taken(table) == (
        [
            EntityRow(("N1", "EWR"), [1.5, 9007199254740993, -4, 1], NOW_S),
            EntityRow(("7", "a b"), [None, 2004, None, 0], NOW_S),
        ],
        [],
    )


def test_columns_may_stand_in_any_order_behind_a_spreadsheets_mark(table: Path) -> None:
    table.write_text('\ufeffplace,t,"small",n,x,id\r\nEWR,false,1,2,3,"N,1"\r\n', encoding="utf-8")
    assert taken(table)[0] == [EntityRow(("N,1", "EWR"), [3, 2, 1, 0], NOW_S)]


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("N1,EWR,one,2,3,1", "x", "'one' is no float32"),
        ("N1,EWR,1e39,2,3,1", "x", "'1e39' is no float32"),
        ("N1,EWR,1,2.5,3,1", "n", "'2.5' is no int64"),
        ("N1,EWR,1,2,2147483648,1", "small", "'2147483648' is no int32"),
        ("N1,EWR,1,2,3,yes", "t", "'yes' is no bool"),
        (",EWR,1,2,3,1", "id", "is empty, and identifies the row"),
        ("N1,EWR,1,2,3", "", "has 5 cells, the header has 6"),
        ("N1,EWR,1,2,3,1,5", "", "has 7 cells, the header has 6"),
        (f"{'N' * 600},EWR,1,2,3,1", "id", "at most 512"),
        ('N1,"EWR"x,1,2,3,1', "", "is no CSV"),
    ],
)
def test_a_bad_row_is_told_and_the_others_are_taken(table: Path, line: str, column: str, reason: str) -> None:
    table.write_text(f"{HEADER}\na,b,1,2,3,1\n{line}\nc,d,1,2,3,1\n", encoding="utf-8")
    good, (bad,) = taken(table)
    assert [row.entity for row in good] == [("a", "b"), ("c", "d")]
    assert (bad.line, bad.column) == (3, column)
    assert reason in bad.reason


def test_text_that_is_no_utf8_is_a_bad_row(table: Path) -> None:
    table.write_bytes(f"{HEADER}\nN\xff,EWR,1,2,3,1\na,b,1,2,3,1\n".encode("latin-1"))
    good, (bad,) = taken(table)
    assert [row.entity for row in good] == [("a", "b")]
    assert (bad.line, bad.column) == (2, "id")


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [("1386000000.5", 1386000000.5), ("1970-01-01T00:01:00Z", 60), ("1970-01-01 00:01", 60)],
)
def test_a_column_may_say_when_a_rows_facts_held(table: Path, cell: str, seconds: float) -> None:
    table.write_text(
        f"{HEADER},at\nN1,EWR,1,2,3,1,{cell}\nN2,EWR,1,2,3,1,soon\nN3,EWR,1,2,3,1,inf\nN4,EWR,1,2,3,1,1_0\n"
    )
    good, bad = taken(table, "at")
    assert [row.event_time_s for row in good] == [seconds]
    assert [(row.column, row.line) for row in bad] == [("at", 3), ("at", 4), ("at", 5)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is empty; the first line names the columns"),
        ("id,x,n,small,t\n", "the column 'place' is missing; view 'v' has id, place, x, n, small, t"),
        (f"{HEADER},colour\n", "the column 'colour' is unknown"),
        (f"{HEADER},x\n", "the column 'x' stands twice"),
    ],
)
def test_columns_that_are_not_the_views_refuse_the_file(table: Path, content: str, why: str) -> None:
    table.write_text(content, encoding="utf-8")
    with pytest.raises(BadRequest) as refused:
        taken(table)
    assert str(table) in refused.value.message
    assert why in refused.value.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"none\.csv cannot be read: No such file"):
        taken(tmp_path / "none.csv")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200) | st.text(alphabet='a1,."\n\r;', max_size=60))
def test_whatever_a_file_holds_every_line_is_taken_or_told(table: Path, text: str) -> None:
    table.write_text(f"{HEADER}\n{text}", encoding="utf-8", newline="")
    good, bad = taken(table)
    for row in good:
        RowLayout(VIEW).pack(row.values, row.event_time_s)
    assert all(row.reason and row.line > 1 for row in bad)


def test_progress_comes_to_the_end(table: Path) -> None:
    table.write_text(f"{HEADER}\n" + "a,b,1,2,3,1\n" * 5_000, encoding="utf-8")
    file = open_rows(table, VIEW, None, NOW_S)
    assert file.done() == 0
    assert sum(1 for _ in file.rows) == 5_000
    assert file.done() == file.total == table.stat().st_size


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    columns = {"t": [True, None], "id": ["N1", "N2"], "place": [7, None], "x": [1.5, 2.0], "n": [2, 3], "small": [4, 5]}
    pq.write_table(pa.table(columns), path)
    good, (bad,) = taken(path)
    assert good == [EntityRow(("N1", 7), [1.5, 2, 4, 1], NOW_S)]
    assert (bad.line, bad.column) == (3, "place")


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    path.write_text("id,place")
    with pytest.raises(BadRequest, match="it is no Parquet"):
        taken(path)


def test_ids_of_a_parquet_file_are_stored_as_callers_ask_for_them(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    ids = pa.array([7.0, None, 8.5], pa.float64())
    places = pa.array([b"EWR", b"EWR", b"EWR"])
    columns = {"id": ids, "place": places, "x": [1.5] * 3, "n": [2] * 3, "small": [4] * 3, "t": [True] * 3}
    pq.write_table(pa.table(columns), path)
    (good,), bad = taken(path)
    assert row_key(VIEW, good.entity) == row_key(VIEW, [7, "EWR"])
    assert [(row.line, row.column) for row in bad] == [(3, "id"), (4, "id")]
    assert bad[1].reason == "8.5 is no id; ids are text or whole numbers"


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (pa.array([1_500_000_000, 1_500_000_001], pa.timestamp("ns")), [1.5, 1.5]),
        (pa.array([1_500_000_001, 1_500_000_001], pa.timestamp("ns", "UTC")), [1.5, 1.5]),
        (pa.array([90, 10**14], pa.timestamp("s")), [90]),
    ],
)
def test_times_of_a_parquet_file_are_taken_or_told_whatever_their_resolution(
    tmp_path: Path, times: pa.Array, seconds: list[float]
) -> None:
    path = tmp_path / "v.parquet"
    columns = {"id": ["N1"] * 2, "place": ["a"] * 2, "x": [1.5] * 2, "n": [2] * 2, "small": [4] * 2, "t": [True] * 2}
    pq.write_table(pa.table({**columns, "at": times}), path)
    good, bad = taken(path, "at")
    assert [row.event_time_s for row in good] == seconds
    assert [row.column for row in bad] == ["at"] * (2 - len(seconds))
