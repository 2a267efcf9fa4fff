"""Rows packed many at a time are those packed one by one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.features.feature_view import DTYPES, FeatureView, feature
from serving.features.keys import row_key
from serving.features.packed import RowLayout
from serving.features.tables.row_file import open_rows
from serving.features.tables.row_parser import BadRow

VIEW = FeatureView(
    "v",
    ("id",),
    (*(feature(dtype, dtype) for dtype in DTYPES), feature("held", "int32", bounds=(-5, 5))),
)
COLUMNS = ("id", *DTYPES, "held")
PAIR = FeatureView("pair", ("a", "b"), (feature("x"),))
NOW_S = 1_700_000_000.25

NUMBERS = st.integers(-(2**63) - 2, 2**64) | st.floats() | st.integers(-6, 6)
CELLS = (
    st.none() | NUMBERS | st.booleans() | st.text(max_size=3) | st.sampled_from(["", "2004.0", " 7 ", "true", "1_0"])
)
USUAL = st.fixed_dictionaries(
    {
        "id": st.integers() | st.text("abü", min_size=1, max_size=4),
        "float32": st.floats(width=32, allow_nan=False, allow_infinity=False) | st.none(),
        "float64": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        "int32": st.integers(-(2**31), 2**31 - 1) | st.none(),
        "int64": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "bool": st.booleans() | st.none(),
        "held": st.integers(-5, 5) | st.none(),
    }
)
ANY = st.fixed_dictionaries(dict.fromkeys(COLUMNS, CELLS))
ROWS = st.lists(USUAL, max_size=60) | st.lists(USUAL | ANY, max_size=60)


def one_by_one(path: Path, view: FeatureView = VIEW) -> tuple[list[tuple[bytes, bytes]], list[BadRow]]:
    layout = RowLayout(view)
    good, bad = [], []
    for row in open_rows(path, view, None, NOW_S).rows:
        if isinstance(row, BadRow):
            bad.append(row)
        else:
            good.append((row_key(view, row.entity), layout.pack(row.values, row.event_time_s)))
    return good, bad


def at_once(path: Path, view: FeatureView = VIEW, skip: int = 0) -> tuple[list[tuple[bytes, bytes]], list[BadRow]]:
    blocks = list(open_rows(path, view, None, NOW_S).blocks(skip))
    good = [pair for block in blocks for pair in zip(block.keys, block.rows, strict=True)]
    return good, [bad for block in blocks for bad in block.bad]


def told(bad: list[BadRow]) -> list[tuple[int, str, str]]:
    return [(row.line, row.column, row.reason) for row in bad]


def check(path: Path) -> None:
    good, bad = one_by_one(path)
    quick, quick_bad = at_once(path)
    assert quick == good
    assert told(quick_bad) == told(bad)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROWS)
def test_json_lines_at_once_are_what_they_are_one_by_one(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    check(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROWS)
def test_csv_at_once_is_what_it_is_row_by_row(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = tmp_path / "v.csv"
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file).writerows([COLUMNS, *(row.values() for row in rows)])
    check(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(USUAL, max_size=60), st.data())
def test_parquet_at_once_is_what_it_is_row_by_row(
    tmp_path: Path, rows: list[dict[str, object]], data: st.DataObject
) -> None:
    path = tmp_path / "v.parquet"
    columns = {name: pa.array([str(row[name]) if name == "id" else row[name] for row in rows]) for name in COLUMNS}
    some = st.lists(
        NUMBERS.filter(lambda number: isinstance(number, float)) | st.none(), min_size=len(rows), max_size=len(rows)
    )
    for name in data.draw(st.sets(st.sampled_from(COLUMNS))):
        columns[name] = pa.array(data.draw(some), pa.float64())
    pq.write_table(pa.table(columns), path)
    check(path)


def test_a_bad_row_among_many_is_found_and_the_others_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "pair.csv"
    lines = [f"N{number},7,{number}" for number in range(10_000)]
    lines[5_000] = "N5000,7,soon"
    path.write_text("\n".join(["a,b,x", *lines, "short", *lines]) + "\n")
    good, bad = at_once(path, PAIR)
    assert len(good) == 19_998
    assert told(bad) == [
        (5_002, "x", "'soon' is no float32"),
        (10_002, "", "has 1 cells, the header has 3"),
        (15_003, "x", "'soon' is no float32"),
    ]
    assert (good, told(bad)) == (one_by_one(path, PAIR)[0], told(one_by_one(path, PAIR)[1]))


@pytest.mark.parametrize("skip", [0, 1, 4_096, 5_001, 10_001, 12_345, 20_001])
def test_a_table_goes_on_after_any_row_good_or_bad(tmp_path: Path, skip: int) -> None:
    path = tmp_path / "pair.csv"
    lines = [f"N{number},7,{number}" for number in range(10_000)]
    lines[5_000] = "N5000,7,soon"
    path.write_text("\n".join(["a,b,x", *lines, "short", *lines]) + "\n")
    rows = list(open_rows(path, PAIR, None, NOW_S).rows)[skip:]
    good, bad = at_once(path, PAIR, skip)
    assert [key for key, _ in good] == [row_key(PAIR, row.entity) for row in rows if not isinstance(row, BadRow)]
    assert told(bad) == told([row for row in rows if isinstance(row, BadRow)])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("float32", 1e39),
        ("float32", "inf"),
        ("float64", "-inf"),
        ("float64", "1_0"),
        ("int64", "1_0"),
        ("int32", 2**31),
        ("int64", 2**63),
        ("int64", 1.5),
        ("bool", 2),
        ("held", 6),
        ("id", ""),
        ("id", "x" * 513),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_one_value_that_does_not_fit_among_plain_ones_costs_its_own_row(
    tmp_path: Path, name: str, value: object, suffix: str
) -> None:
    path = tmp_path / f"v.{suffix}"
    plain: dict[str, object] = {"id": "N1", "float32": 1.5, "float64": 2.5, "int32": 3, "int64": 4, "held": 5}
    rows = [{**plain, "bool": "1"} for _ in range(40)]
    rows[20][name] = value
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *([row[column] for column in COLUMNS] for row in rows)])
    good, bad = at_once(path)
    assert len(good) == 39
    assert [row.column for row in bad] == [name]
    check(path)
