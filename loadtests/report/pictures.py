"""The charts of a report, each with the table behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.report.axis import Axis, linear, logarithmic, rarity
from loadtests.report.chart import Chart, Series
from loadtests.report.words import number

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
_COLORS = 6
_A_WHILE_S = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, what it shows in a sentence, and its numbers."""

    chart: Chart
    caption: str
    table: Table


def pictures(result: Mapping[str, Any]) -> Iterator[Picture]:
    """In the order in which they are read."""
    if result["timeline"]:
        yield latency_over_time(result)
        yield rate_over_time(result)
    if result["percentiles"]:
        yield percentiles(result)
    if result["histogram"]:
        yield histogram(result)


def latency_over_time(result: Mapping[str, Any]) -> Picture:
    """Median, p99 and the slowest of each second, with what was done to the server meanwhile."""
    lines = (("p50", "p50_ms"), ("p99", "p99_ms"), ("slowest", "max_ms"))
    points = result["timeline"]
    series = [
        Series(name, color, [(one["at_s"], one[key]) for one in points]) for color, (name, key) in enumerate(lines)
    ]
    values = [height for one in series for _, height in one.points if height is not None]
    chart = Chart(
        "Latency over time", _time(result), logarithmic("ms", values), series, _marks(result), _warm_up(result)
    )
    rows = [(number(one["at_s"]), *(number(one[key]) for _, key in lines)) for one in points]
    caption = "Each second by when requests were due. A line that breaks: too many of that second were never answered."
    return Picture(chart, caption + _shaded(result), (("s", *(f"{name} ms" for name, _ in lines)), rows))


def rate_over_time(result: Mapping[str, Any]) -> Picture:
    """Asked, rightly answered, and everything else."""
    lines = (("asked", "asked_per_second"), ("right", "right_per_second"), ("errors", "errors_per_second"))
    points = result["timeline"]
    series = [
        Series(name, color, [(one["at_s"], one[key]) for one in points])
        for color, (name, key) in zip((3, 2, 1), lines, strict=True)
    ]
    most = max(height or 0.0 for one in series for _, height in one.points)
    chart = Chart(
        "Requests over time", _time(result), linear("requests/s", 0, most), series, _marks(result), _warm_up(result)
    )
    rows = [(number(one["at_s"]), *(number(one[key]) for _, key in lines)) for one in points]
    caption = (
        "Errors are refusals, wrong answers, broken connections and whoever was never answered. Where all were "
        "answered rightly, that line covers what was asked."
    )
    return Picture(chart, caption + _shaded(result), (("s", *(f"{name}/s" for name, _ in lines)), rows))


def percentiles(result: Mapping[str, Any]) -> Picture:
    """Towards 100 %, all together and variants side by side."""
    ladders = {"all": result["percentiles"]}
    if len(result["variants"]) > 1:
        ladders |= result["variant_percentiles"]
    shown = {name: ladder for name, ladder in list(ladders.items())[:_COLORS] if ladder}
    series = [
        Series(name, color, [(share, value) for share, value, _ in ladder if share < 1])
        for color, (name, ladder) in enumerate(shown.items())
    ]
    values = [height for one in series for _, height in one.points if height is not None]
    last = max((share for ladder in shown.values() for share, _, _ in ladder if share < 1), default=0.9)
    chart = Chart("Percentiles", rarity("share of requests", last), logarithmic("ms", values), series)
    rows = [
        (name, f"{share * 100:.10g} %", number(value), f"{over:,}")
        for name, ladder in shown.items()
        for share, value, over in ladder
    ]
    caption = "So many requests were answered within so many milliseconds; the table has how many took longer."
    return Picture(chart, caption, (("", "share", "ms", "took longer"), rows))


def histogram(result: Mapping[str, Any]) -> Picture:
    """How many answers took so long, both on log scales."""
    buckets = result["histogram"]
    points: list[tuple[float, float | None]] = [
        (begins or ends / 1.26, float(count)) for begins, ends, count in buckets
    ]
    points.append((buckets[-1][1], points[-1][1]))
    chart = Chart(
        "How long answers took",
        logarithmic("ms", [at for at, _ in points]),
        logarithmic("answers", [1.0, *(count for _, _, count in buckets)]),
        [Series("answers", 0, points)],
        stairs=True,
    )
    rows = [(f"{number(begins)} to {number(ends)}", f"{count:,}") for begins, ends, count in buckets if count]
    return Picture(chart, "Ten buckets a decade.", (("ms", "answers"), rows))


def _time(result: Mapping[str, Any]) -> Axis:
    return linear("seconds since the load began", 0, result["seconds"])


def _marks(result: Mapping[str, Any]) -> list[tuple[float, str]]:
    """When each action began, and where it took a while, when it was over."""
    told = []
    for mark in result["chaos"]:
        told.append((mark["began_s"], mark["name"]))
        if mark["ended_s"] is not None and mark["ended_s"] - mark["began_s"] > _A_WHILE_S:
            told.append((mark["ended_s"], f"{mark['name']} over"))
    return told


def _shaded(result: Mapping[str, Any]) -> str:
    return " What is shaded is the warm-up." if _warm_up(result) else ""


def _warm_up(result: Mapping[str, Any]) -> list[tuple[float, float]]:
    return [(one["began_s"], one["began_s"] + one["seconds"]) for one in result["stages"] if one["warm_up"]]
