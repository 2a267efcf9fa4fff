"""Results of load tests: written as reports, and compared."""

from __future__ import annotations

from pathlib import Path

from loadtests.compare import Ratio, compared, differences, unfit
from loadtests.report.files import read_result, write_reports
from serving.cli.output import console, note, print_json, table


def write_report(file: Path, folder: Path) -> None:
    """Every form of a report from one result."""
    for written in write_reports(read_result(file), folder):
        console().print(str(written), soft_wrap=True)


def compare_results(first: Path, second: Path, *, as_json: bool) -> tuple[list[Ratio], list[str]]:
    """Print the ratios, and first what makes them hard to believe; the ratios, and why no gate is judged by them.

    Raises:
        ConfigInvalid: a file that is no result, or one of too few seconds.
    """
    one, other = read_result(first), read_result(second)
    ratios, told = compared(one, other), differences(one, other)
    if as_json:
        print_json({"ratios": [ratio.as_json() for ratio in ratios], "differences": told})
        return ratios, unfit(one, other)
    for line in told:
        note(f"note: {line}")
    columns = ["", "first", "second", "second/first", "95 % interval", ""]
    console().print(table(columns, [_row(ratio) for ratio in ratios], right=columns[1:4]))
    return ratios, unfit(one, other)


def _row(ratio: Ratio) -> tuple[str, ...]:
    numbers = (f"{ratio.first:.4g}", f"{ratio.second:.4g}", f"{ratio.ratio:.3f}")
    return (ratio.figure, *numbers, f"{ratio.low:.3f} to {ratio.high:.3f}", ratio.word)
