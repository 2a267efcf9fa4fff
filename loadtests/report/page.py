"""A result as one HTML file that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import yaml

from loadtests.report.chart import Series, bars, drawn
from loadtests.report.pictures import Picture, pictures
from loadtests.report.style import STYLE
from loadtests.report.words import COLUMNS, PERCENTILES, gate_rows, near_rows, number, parts

_WIDE, _NARROW = 740, 338
_WORDS = {
    "passed": "every gate was met",
    "failed": "a gate was missed",
    "invalid": "the generator could not keep up: these figures are not the server's",
    "interrupted": "stopped before its end; gates are shown as they stood",
}


def page(result: Mapping[str, Any]) -> str:
    """The whole file."""
    title = escape(f"{result['name']}: {result['verdict']}")
    body = "\n".join(_body(result))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _body(result: Mapping[str, Any]) -> Iterator[str]:
    verdict = result["verdict"]
    yield f"<h1>{escape(result['name'])}</h1><p class=about>{escape(result['about'])}</p>"
    yield f'<p class="verdict {verdict}">{verdict}: {_WORDS[verdict]}</p>'
    yield (
        f"<p class=note>{escape(result['started_at'])}, {number(result['seconds'])} s, {escape(result['loop'])} loop, "
        f"{escape(result['target'])}</p>"
    )
    yield from (f"<p class=missed>{escape(text)}</p>" for text in result["problems"])
    yield from (f"<p class=note>{escape(text)}</p>" for text in result["notes"])
    if result["gates"]:
        yield "<h2>Gates</h2>" + _gates(result)
    yield "<h2>Figures</h2>" + table(COLUMNS, parts(result))
    kinds = ", ".join(f"{kind}: {count:,}" for kind, count in result["totals"]["by_status"].items())
    yield f"<p class=note>What became of requests, warm-up left out: {escape(kinds)}.</p>"
    yield from (_figure(picture) for picture in pictures(result))
    yield from _stages(result)
    yield from _near(result)
    yield from _happenings(result)
    yield from _generator(result)
    document = yaml.safe_dump(result["scenario"], sort_keys=False, allow_unicode=True)
    yield f"<h2>Scenario</h2><details><summary>as it was run</summary><pre>{escape(document)}</pre></details>"


def _gates(result: Mapping[str, Any]) -> str:
    rows = [(name, limit, measured, _met(result, met=met)) for name, limit, measured, met in gate_rows(result)]
    return table(("gate", "bound", "measured", ""), rows, raw={3})


def _met(result: Mapping[str, Any], *, met: bool) -> str:
    if result["verdict"] == "invalid":
        return "not judged"
    word = "met" if met else "missed"
    return f"<span class={word}>{word}</span>"


def _figure(picture: Picture) -> str:
    chart = picture.chart
    names = "".join(f"<li>{_sample(one)}{escape(one.name)}</li>" for one in chart.series)
    return (
        f"<h2>{escape(chart.title)}</h2><figure><ul class=legend>{names}</ul>"
        f"<div class=wide>{drawn(chart, _WIDE)}</div><div class=narrow>{drawn(chart, _NARROW)}</div>"
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        f"<details><summary>as a table</summary>{table(*picture.table)}</details>"
    )


def _sample(series: Series) -> str:
    return (
        '<svg width="18" height="8" viewBox="0 0 18 8" aria-hidden="true">'
        f'<path class="line c{series.color}" d="M0 4L18 4"/></svg>'
    )


def _stages(result: Mapping[str, Any]) -> Iterator[str]:
    means = sorted(result["server_stages_ms"].items(), key=lambda item: -item[1])
    if means:
        title = "Where the server spent its time"
        wide, narrow = (bars(title, means, "ms", width) for width in (_WIDE, _NARROW))
        drawings = f"<div class=wide>{wide}</div><div class=narrow>{narrow}</div>"
        caption = "<figcaption>Means of the whole load, warm-up included, from the server's own metrics.</figcaption>"
        rows = [(name, number(value)) for name, value in means]
        yield f"<h2>{title}</h2><figure>{drawings}{caption}</figure>"
        yield f"<details><summary>as a table</summary>{table(('stage', 'mean ms'), rows)}</details>"


def _near(result: Mapping[str, Any]) -> Iterator[str]:
    rows = near_rows(result)
    if rows:
        note = "<p class=note>Of the rows of features that the gateway's workers keep, warm-up included.</p>"
        yield "<h2>Rows kept near</h2>" + table(("found", "look-ups", "share"), rows) + note


def _happenings(result: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (mark["name"], number(mark["began_s"]), number(mark["ended_s"]), str(mark["status"]), mark["said"])
        for mark in result["chaos"]
    ]
    if rows:
        yield "<h2>What was done to the server</h2>" + table(
            ("action", "began s", "ended s", "exit code", "said"), rows, text={4}
        )


def _generator(result: Mapping[str, Any]) -> Iterator[str]:
    told = result["generator"]
    lateness = told["lateness"]
    late = ", ".join(f"{name} {number(lateness[key])} ms" for name, key in PERCENTILES if key in lateness)
    shares = ", ".join(f"{one:.0%}" for one in told["cpu_share"])
    yield "<h2>The generator</h2>"
    yield table(
        ("", ""),
        [
            ("requests left late by", late),
            ("share of a core, by process", shares),
            ("longest that its loop was held up", f"{number(told['longest_lag_ms'])} ms"),
            ("connections", f"{told['connections']:,}"),
            ("memory of the largest", f"{number(told['peak_mb'])} MB"),
        ],
        text={1},
    )
    yield f"<p class=note>{escape(told['rule'])}</p>"
    rows = [(name, str(value)) for name, value in result["environment"].items()]
    yield "<h2>Environment</h2>" + table(("", ""), rows, text={1})


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text: frozenset[int] | set[int] = frozenset(),
    raw: frozenset[int] | set[int] = frozenset(),
) -> str:
    """Cells are escaped but in `raw` columns; those in `text` are read and not compared."""
    head = "".join(f"<th{' class=text' if at in text else ''}>{escape(name)}</th>" for at, name in enumerate(columns))
    lines = []
    for row in rows:
        cells = (
            f"<td{' class=text' if at in text else ''}>{cell if at in raw else escape(cell)}</td>"
            for at, cell in enumerate(row)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    kind = " class=reads" if text else ""
    return f"<div class=wrap><table{kind}><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
