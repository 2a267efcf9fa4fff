"""The report as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from loadtests.report.page import page
from tests.unit.loadtests.report.made import result

VOID = {"meta", "link", "line", "path", "rect"}


class Elements(HTMLParser):
    """Every element, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] in ("p", "li") and tag not in ("p", "li"):
            self.open.pop()
        assert self.open.pop() == tag


def read(text: str) -> Elements:
    elements = Elements()
    elements.feed(text)
    return elements


def test_it_asks_nobody_for_anything_and_runs_nothing() -> None:
    text = page(result())
    assert "<script" not in text
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ["data:,"]
    assert "url(" not in text
    assert "@import" not in text


def test_it_is_whole_html_whatever_names_and_words_hold() -> None:
    elements = read(page(result()))
    assert elements.open == []
    assert "&lt;b&gt;1 &amp; 2&lt;/b&gt;" in page(result())
    assert "killed &lt;1&gt;" in page(result())


def test_each_chart_is_there_for_both_widths_with_axes_units_legend_and_a_table() -> None:
    text = page(result())
    for title in ("Latency over time", "Requests over time", "Percentiles", "How long answers took"):
        part = text.split(f"<h2>{title}</h2>")[1].split("<h2>")[0]
        assert part.count(f'aria-label="{title}"') == 2
        assert part.count('class="name"') == 4
        assert "<ul class=legend><li>" in part
        assert "<table>" in part
    # In both charts over time, at both widths.
    assert text.count(">kill-replica</text>") == 4
    assert ">kill-replica over</text>" not in text


def test_the_end_of_what_took_a_while_is_marked_too() -> None:
    slow = result()
    slow["chaos"][0]["ended_s"] = 2.9
    assert page(slow).count(">kill-replica over</text>") == 4


@pytest.mark.parametrize(("gates", "verdict"), [({"p99_ms": 50.0}, "passed"), ({"errors": 0.0}, "failed")])
def test_the_verdict_stands_at_the_top(gates: dict[str, float], verdict: str) -> None:
    text = page(result(**gates))
    assert f'<p class="verdict {verdict}">{verdict}: ' in text


def test_colours_follow_the_reader_s_system() -> None:
    assert "@media(prefers-color-scheme:dark)" in page(result())


def test_no_word_of_a_result_becomes_an_element() -> None:
    text = page(result() | {"loop": "<script>1</script>", "name": "<script>", "target": "<script>"})
    assert "<script" not in text


def test_percentiles_of_the_generator_are_named_as_the_server_s_and_a_shaded_warm_up_is_explained() -> None:
    found = result()
    found["generator"]["lateness"] = {"p50_ms": 0.1, "p999_ms": 2.0, "max_ms": 3.0}
    assert "<td class=text>p50 0.1 ms, p99.9 2 ms, slowest 3 ms</td>" in page(found)
    assert ("What is shaded is the warm-up." in page(found)) == any(one["warm_up"] for one in found["stages"])
    found["stages"] = [{**one, "warm_up": True} for one in found["stages"]]
    assert page(found).count("What is shaded is the warm-up.") == 2
