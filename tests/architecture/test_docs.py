"""The pages list every metric and every reason of an error, and nothing that is gone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from deployments import chart
from serving.cli.reference import pages
from serving.errors import ServingError
from tests.architecture.checkout import python_files, read

METRIC = re.compile(r"sluice_[a-z][a-z0-9_]*")


def reasons(error: type[ServingError] = ServingError) -> set[str]:
    """The stable reasons of an error and all below it."""
    return {error.reason}.union(*(reasons(below) for below in error.__subclasses__()))


def metrics() -> set[str]:
    """Every whole string in serving/telemetry that is a metric's name."""
    return {
        node.value
        for path in python_files()
        if path.parts[:2] == ("serving", "telemetry")
        for node in ast.walk(ast.parse(read(path)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and METRIC.fullmatch(node.value)
    }


def rows_of(page: str) -> set[str]:
    """The code words that begin the rows of a page's tables."""
    return set(re.findall(r"^\| `([^`]+)`", read(Path(page)), re.MULTILINE))


def test_the_page_of_errors_lists_every_reason_and_no_other() -> None:
    assert rows_of("docs/errors.md") == reasons() - {ServingError.reason}


@pytest.mark.parametrize("page", sorted(pages()))
def test_a_page_that_is_made_from_the_code_is_current(page: str) -> None:
    assert read(Path("docs") / page) == pages()[page], "run `make docs`"


def test_what_the_chart_takes_from_other_files_is_current() -> None:
    for name, text in chart.files().items():
        assert (chart.CHART / name).read_text() == text, f"helm/sluice/{name}: run `make docs`"
    copied = {f"files/dashboards/{path.name}" for path in (chart.CHART / "files" / "dashboards").iterdir()}
    assert copied <= chart.files().keys()


def test_the_page_of_metrics_lists_every_metric_and_no_other() -> None:
    assert metrics() == rows_of("docs/metrics.md")
