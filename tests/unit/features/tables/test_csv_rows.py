"""Rows out of CSV: a line that is none costs itself, and nothing behind it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serving.features.tables.csv_rows import CsvRows
from serving.features.tables.row_parser import BadRow

HEADER = "tailnum,year,seats,jet"


def read(path: Path) -> tuple[list[tuple[int, tuple[object, ...]]], list[BadRow]]:
    """Rows with their lines, and those that are none."""
    good: list[tuple[int, tuple[object, ...]]] = []
    bad = []
    for chunk in CsvRows(path).chunks():
        if isinstance(chunk, BadRow):
            bad.append(chunk)
        else:
            good += chunk.rows()
    return good, bad


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "plane.csv"


@pytest.mark.parametrize("behind", [0, 1, 30_000], ids=["at the end", "before one line", "before many"])
def test_a_quote_that_is_not_closed_costs_its_own_line(table: Path, behind: int) -> None:
    lines = [f"N{number},1999,149,true" for number in range(behind)]
    table.write_text("\n".join([HEADER, "N0,1999,149,true", 'N5,"1999,149,true', *lines]) + "\n")
    good, (bad,) = read(table)
    assert [cells[0] for _, cells in good] == ["N0", *(f"N{number}" for number in range(behind))]
    assert [line for line, _ in good] == [2, *range(4, 4 + behind)]
    assert (bad.line, bad.cells) == (3, ('N5,"1999,149,true',))
    assert bad.reason.startswith("is no CSV: ")


def test_a_quote_that_a_later_line_closes_by_chance_costs_no_good_row(table: Path) -> None:
    table.write_text(f'{HEADER}\nN5,"1999,149,true\nN6,2000,50,true\nN7,1999",149\nN8,1,2,true\n')
    good, bad = read(table)
    assert [cells[0] for _, cells in good] == ["N6", "N8"]
    assert [(one.line, one.cells) for one in bad] == [(2, ('N5,"1999,149,true',)), (4, ["N7", '1999"', "149"])]
    assert bad[0].reason == "has 3 cells, the header has 4, after a quote that is not closed on its line"


def test_a_cell_in_quotes_may_have_several_lines(table: Path) -> None:
    table.write_text(f'{HEADER}\n"N\n""5""",1999,149,true\nN6,1,2,true\n')
    assert read(table) == ([(2, ('N\n"5"', "1999", "149", "true")), (4, ("N6", "1", "2", "true"))], [])


@pytest.mark.parametrize("part", ["N", '"N', "N5,"])
def test_a_line_that_is_too_long_is_skipped_and_told_shortened(table: Path, part: str) -> None:
    table.write_text(f"{HEADER}\n{part * 3_000_000}\nN6,1,2,true\n")
    good, (bad,) = read(table)
    assert good == [(3, ("N6", "1", "2", "true"))]
    assert (bad.line, bad.reason) == (2, "is no CSV: a row of 1 MiB or more")
    assert len(str(bad.cells[0])) < 2_000


def test_many_cells_of_several_lines_are_not_read_without_end(table: Path) -> None:
    cells = '"\n",' * 300_000
    table.write_text(f"{HEADER}\n{cells}\nN6,1,2,true\n")
    good, bad = read(table)
    assert good[-1] == (300_003, ("N6", "1", "2", "true"))
    assert bad[0].reason == "is no CSV: a row of 1 MiB or more, after a quote that is not closed on its line"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200) | st.text(alphabet='a1,."\n\r;', max_size=60))
@example('N5,"1999\r\n\r\nN6\r,\n"')
def test_every_line_is_in_one_row_or_is_told(table: Path, text: str) -> None:
    table.write_text(f"a,b\n{text}", encoding="utf-8", newline="")
    good, bad = read(table)
    covered = [line + number for line, cells in good for number in range(1 + sum(map(_breaks, cells)))]
    covered += [one.line for one in bad]
    assert len(set(covered)) == len(covered)
    lines = ["a,b", *re.split(r"\r\n|\r|\n", text)]
    assert {number for number, line in enumerate(lines, 1) if line and number > 1} <= set(covered)
    whole = [one for one in bad if one.reason.startswith("is no CSV") or "quote" in one.reason]
    assert [one.cells for one in whole] == [(lines[one.line - 1],) for one in whole]


def _breaks(cell: object) -> int:
    return len(re.findall(r"\r\n|\r|\n", str(cell)))


def test_a_line_that_is_too_long_within_a_quote_takes_no_line_with_it(table: Path) -> None:
    table.write_text(f'{HEADER}\nN5,"1999\n{"N" * 3_000_000}\nN6,1,2,true\nN7,1,2,true')
    good, bad = read(table)
    assert [(line, cells[0]) for line, cells in good] == [(4, "N6"), (5, "N7")]
    assert [(one.line, len(str(one.cells[0])) < 2_000) for one in bad] == [(2, True), (3, True)]


def test_a_file_in_which_every_line_opens_a_quote_is_not_read_again_for_each_of_them(table: Path) -> None:
    # As where somebody took the first and the last quote of every line away: each is closed by the next line's.
    broken = [f'N{number}","1999","149","true' for number in range(20_000)]
    table.write_text("\n".join([HEADER, *broken, "N1,1999,149,true"]) + "\n")
    rows = CsvRows(table)
    told = list(rows.chunks())
    *bad, good = told
    assert [one.line for one in bad if isinstance(one, BadRow)] == [*range(2, 20_002)]
    assert not isinstance(good, BadRow)
    assert [line for line, _ in good.rows()] == [20_002]
    # The first lines read to the end of the file, until that was enough.
    assert rows._lines.given_again < 5 * table.stat().st_size + (17 << 20)


def test_lines_that_are_looked_at_alone_are_rows_as_ever(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.features.tables.csv_rows._TIMES_OVER", 0)
    monkeypatch.setattr("serving.features.tables.csv_rows._MORE", 0)
    lines = [HEADER, 'N5,"1999,149,true', "N6,1,2,true", "N7,1,2", "", '"N8",1,2,true', 'N9,"1,2']
    table.write_text("\n".join(lines) + "\n")
    good, bad = read(table)
    assert [(line, cells[0]) for line, cells in good] == [(3, "N6"), (6, "N8")]
    assert [(one.line, one.cells) for one in bad] == [
        (2, ('N5,"1999,149,true',)),
        (4, ["N7", "1", "2"]),
        (7, ('N9,"1,2',)),
    ]
