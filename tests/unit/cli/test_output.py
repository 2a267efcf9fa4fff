"""Tables fit the terminal they are shown in."""

from __future__ import annotations

import io

from rich.console import Console

from serving.cli.output import table

NAME = "feature_views.plane.features.mean_delay.default"


def shown(width: int, *, whole: tuple[str, ...] = ()) -> list[str]:
    out = io.StringIO()
    rows = [(NAME, '["a long list", "of words"]', "sluice.yaml line 5")]
    Console(file=out, width=width).print(table(["setting", "value", "from"], rows, whole=whole))
    return out.getvalue().splitlines()


def test_a_name_that_is_copied_is_not_broken_where_the_terminal_is_narrow() -> None:
    lines = shown(80, whole=("setting",))
    assert any(line.startswith(f"{NAME} ") for line in lines)
    assert max(map(len, lines)) <= 80
    assert not any(line.startswith(f"{NAME} ") for line in shown(60))
