"""A result as Markdown for people who review, and as JUnit's XML for machines that build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from loadtests.report.words import COLUMNS, gate_rows, number, parts


def markdown(result: Mapping[str, Any]) -> str:
    """Verdict, gates and figures."""
    gates = [
        (name, limit, measured, "met" if met else "**missed**") for name, limit, measured, met in gate_rows(result)
    ]
    lines = [
        f"## {result['name']}: {result['verdict']}",
        "",
        f"{result['about']} {number(result['seconds'])} s, {result['loop']} loop, {result['started_at']}.",
        *(f"\n**{text}**" for text in result["problems"]),
        *(f"\n{text}" for text in result["notes"]),
        "",
        *(_table(("gate", "bound", "measured", ""), gates) if gates else ()),
        *_table(COLUMNS, parts(result)),
    ]
    lines += [f"* at {number(mark['began_s'])} s: {mark['name']}: {_cell(mark['said'])}" for mark in result["chaos"]]
    return "\n".join(lines).rstrip() + "\n"


def junit(result: Mapping[str, Any]) -> str:
    """One case for each gate and one for the generator, which is an error where a load is invalid."""
    cases = [_case("the generator kept up", error="; ".join(result["problems"]))]
    for name, limit, measured, met in gate_rows(result):
        cases.append(_case(name, failure="" if met else f"{measured}, the bound is {limit}"))
    errors, failures = bool(result["problems"]), sum(not gate["met"] for gate in result["gates"])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuite name={quoteattr("loadtest." + result["name"])} tests="{len(cases)}" errors="{int(errors)}" '
        f'failures="{failures}" time="{result["seconds"]}" timestamp={quoteattr(result["started_at"])}>\n'
        + "".join(cases)
        + "</testsuite>\n"
    )


def _quoted(text: str) -> str:
    """As an attribute; what XML 1.0 (section 2.2) has no place for, as for a program's colours, ends no build."""
    return quoteattr("".join(one if one >= " " or one in "\t\n\r" else "?" for one in text))


def _case(name: str, failure: str = "", error: str = "") -> str:
    inner = (
        f"<failure message={_quoted(failure)}/>" if failure else f"<error message={_quoted(error)}/>" if error else ""
    )
    return f'  <testcase classname="loadtest" name={_quoted(name)}>{inner}</testcase>\n'


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in columns[1:])]
    return [*(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in (columns, rule, *rows)), ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
