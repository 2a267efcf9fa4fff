"""Reports for reviews and builds."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from loadtests.report.page import page
from loadtests.report.texts import junit, markdown
from tests.unit.loadtests.report.made import result


def test_junit_has_a_case_for_each_gate_and_one_for_the_generator() -> None:
    suite = ET.fromstring(junit(result(p99_ms=50.0, errors=0.0)))
    assert suite.get("tests") == "3"
    assert suite.get("failures") == "1"
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["errors"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "invalid", "problems": ["requests left 3 ms late"]}, "requests left 3 ms late"),
        ({"verdict": "interrupted"}, "the load was stopped before its end"),
    ],
)
def test_an_invalid_or_half_a_load_is_an_error_of_the_build_and_passes_nothing(
    change: dict[str, object], said: str
) -> None:
    suite = ET.fromstring(junit(result(p99_ms=50.0, errors=0.0) | change))
    assert (suite.get("errors"), suite.get("failures"), suite.get("skipped")) == ("1", "0", "2")
    (error,) = suite[0].iter("error")
    assert error.get("message") == said
    assert all(case.find("skipped") is not None for case in suite[1:])


def test_the_gates_of_an_invalid_load_are_neither_met_nor_missed() -> None:
    invalid = result(p99_ms=50.0, errors=0.0) | {"verdict": "invalid"}
    text = markdown(invalid)
    assert text.count("| not judged |") == 2
    assert "| met |" not in text
    assert "class=met" not in page(invalid)


def test_markdown_has_tables_of_equally_many_cells_in_each_row() -> None:
    text = markdown(result())
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for lines in tables:
        assert len({line.count("|") - line.count("\\|") for line in lines}) == 1
    assert "killed <1> \\| of 2" in text


def test_what_xml_has_no_place_for_does_not_end_a_build() -> None:
    made = result()
    made["gates"][0] |= {"note": "\x1b[31mred\x00", "met": False}
    (failure,) = ET.fromstring(junit(made)).iter("failure")
    assert "red" in failure.get("message", "")


def test_what_the_server_had_near_is_told_and_results_of_before_go_without() -> None:
    made = result()
    assert "rows kept near: hit 90 %, miss 10 %" in markdown(made)
    assert "Rows kept near" in page(made)
    made.pop("near_look_ups")
    assert "near" not in markdown(made)
    assert "Rows kept near" not in page(made)
