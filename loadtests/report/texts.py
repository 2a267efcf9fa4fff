"""A result as Markdown for people who review, and as JUnit's XML for machines that build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from loadtests.report.words import COLUMNS, gate_rows, near_rows, not_judged, number, parts


def markdown(result: Mapping[str, Any]) -> str:
    """Verdict, gates and figures."""
    undecided = "not judged" if result["verdict"] == "invalid" else ""
    gates = [
        (name, limit, measured, undecided or ("met" if met else "**missed**"))
        for name, limit, measured, met in gate_rows(result)
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
    if near := near_rows(result):
        lines += [f"* rows kept near: {', '.join(f'{outcome} {part}' for outcome, _, part in near)}"]
    return "\n".join(lines).rstrip() + "\n"


def junit(result: Mapping[str, Any]) -> str:
    """One case for the generator and one for each gate.

    A load that is invalid, or was stopped, is an error of the build; its gates are skipped, as they passed nothing.
    """
    undecided, gates = not_judged(result), gate_rows(result)
    error = "; ".join(result["problems"]) or undecided
    cases = [_case("the load is whole and its generator kept up", "error", error)]
    for name, limit, measured, met in gates:
        missed = "" if met else f"{measured}, the bound is {limit}"
        cases.append(_case(name, "skipped", undecided) if undecided else _case(name, "failure", missed))
    failures = 0 if undecided else sum(not met for *_, met in gates)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuite name={quoteattr("loadtest." + result["name"])} tests="{len(cases)}" errors="{int(bool(error))}" '
        f'failures="{failures}" skipped="{len(gates) if undecided else 0}" time="{result["seconds"]}" '
        f"timestamp={quoteattr(result['started_at'])}>\n" + "".join(cases) + "</testsuite>\n"
    )


def _quoted(text: str) -> str:
    """As an attribute; what XML 1.0 (section 2.2) has no place for, as for a program's colours, ends no build."""
    return quoteattr("".join(one if one >= " " or one in "\t\n\r" else "?" for one in text))


def _case(name: str, end: str, message: str) -> str:
    """Passed where there is no message."""
    inner = f"<{end} message={_quoted(message)}/>" if message else ""
    return f'  <testcase classname="loadtest" name={_quoted(name)}>{inner}</testcase>\n'


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in columns[1:])]
    return [*(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in (columns, rule, *rows)), ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
