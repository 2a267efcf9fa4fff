"""Reports for reviews and builds."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from loadtests.report.texts import junit, markdown
from tests.unit.loadtests.report.made import result


def test_junit_has_a_case_for_each_gate_and_one_for_the_generator() -> None:
    suite = ET.fromstring(junit(result(p99_ms=50.0, errors=0.0)))
    assert suite.get("tests") == "3"
    assert suite.get("failures") == "1"
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["errors"]


def test_an_invalid_load_is_an_error_of_the_build() -> None:
    invalid = result() | {"problems": ["requests left 3 ms late"]}
    suite = ET.fromstring(junit(invalid))
    assert suite.get("errors") == "1"
    assert suite[0].find("error") is not None


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
