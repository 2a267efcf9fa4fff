"""Line charts and bars as SVG, drawn for one width each: labels that are scaled down cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from loadtests.report.axis import Axis

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 26, 40
_ROW = 26


@dataclass(frozen=True, slots=True)
class Series:
    """A line by its points; None breaks it. `color` is a number of the page's colours."""

    name: str
    color: int
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with axes and units; marks are moments on the horizontal axis, shades are spans of it."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    marks: Sequence[tuple[float, str]] = ()
    shades: Sequence[tuple[float, float]] = field(default_factory=tuple)
    stairs: bool = False


def drawn(chart: Chart, width: int) -> str:
    """One SVG of so many pixels."""
    height = 270 if width > 500 else 230  # noqa: PLR2004 - a telephone's
    inner = (width - _LEFT - _RIGHT, height - _TOP - _BOTTOM)
    parts = [
        _opened(chart.title, width, height),
        *_shades(chart, inner),
        *_axes(chart, inner, width),
        *(_line(chart, series, inner) for series in chart.series),
        *_marks(chart, inner),
        "</svg>",
    ]
    return "".join(parts)


def _opened(title: str, width: int, height: int) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg {size} role="img" aria-label="{escape(title)}">'


def _x(chart: Chart, value: float, inner: tuple[int, int]) -> float:
    return _LEFT + min(max(chart.x.place(value), 0.0), 1.0) * inner[0]


def _y(chart: Chart, value: float, inner: tuple[int, int]) -> float:
    return _TOP + (1 - min(max(chart.y.place(value), 0.0), 1.0)) * inner[1]


def _axes(chart: Chart, inner: tuple[int, int], width: int) -> list[str]:
    right, bottom = _LEFT + inner[0], _TOP + inner[1]
    parts = []
    for value, label in chart.y.ticks:
        y = _y(chart, value, inner)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    step = max(1, -(-len(chart.x.ticks) * 58 // inner[0]))
    for value, label in chart.x.ticks[::step]:
        x = _x(chart, value, inner)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
        # The last label must not hang over the edge.
        anchor = "end" if x > width - 24 else "middle"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="{anchor}">{escape(label)}</text>')
    middle = _LEFT + inner[0] / 2
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(
        f'<text class="name" x="{middle}" y="{bottom + 33}" text-anchor="middle">{escape(chart.x.label)}</text>'
    )
    parts.append(f'<text class="name" x="2" y="{_TOP - 13}">{escape(chart.y.label)}</text>')
    return parts


def _line(chart: Chart, series: Series, inner: tuple[int, int]) -> str:
    steps: list[str] = []
    before: float | None = None
    for value, height in series.points:
        if height is None:
            before = None
            continue
        x, y = _x(chart, value, inner), _y(chart, height, inner)
        if before is None:
            steps.append(f"M{x:.1f} {y:.1f}")
        elif chart.stairs:
            steps.append(f"L{x:.1f} {before:.1f}L{x:.1f} {y:.1f}")
        else:
            steps.append(f"L{x:.1f} {y:.1f}")
        before = y
    return f'<path class="line c{series.color}" d="{"".join(steps)}"/>'


def _marks(chart: Chart, inner: tuple[int, int]) -> list[str]:
    parts = []
    for number, (at, word) in enumerate(chart.marks):
        x, y = _x(chart, at, inner), _TOP + 10 + 13 * (number % 4)
        anchor, shift = ("end", -4) if chart.x.place(at) > 0.6 else ("start", 4)  # noqa: PLR2004
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_TOP + inner[1]}"/>')
        parts.append(f'<text class="word" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}">{escape(word)}</text>')
    return parts


def _shades(chart: Chart, inner: tuple[int, int]) -> list[str]:
    parts = []
    for begins, ends in chart.shades:
        left, right = _x(chart, begins, inner), _x(chart, ends, inner)
        parts.append(f'<rect class="shade" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{inner[1]}"/>')
    return parts


def bars(title: str, values: Sequence[tuple[str, float]], unit: str, width: int) -> str:
    """Horizontal bars from zero, each with its number."""
    most = max((value for _, value in values), default=0.0) or 1.0
    height = _ROW * len(values) + 8
    room = width - 90 - 80
    parts = [_opened(title, width, height)]
    for number, (name, value) in enumerate(values):
        y = number * _ROW + 4
        long = max(1.0, value / most * room)
        parts.append(f'<text class="name" x="84" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="bar" x="90" y="{y}" width="{long:.1f}" height="18"/>')
        parts.append(f'<text class="tick" x="{90 + long + 6:.1f}" y="{y + 14}">{value:.3g} {escape(unit)}</text>')
    return "".join([*parts, "</svg>"])
