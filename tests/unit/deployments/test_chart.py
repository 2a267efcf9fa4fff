"""Each value of the chart says what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from deployments import chart

VALUES = (chart.CHART / "values.yaml").read_text()


def test_each_value_has_one_sentence() -> None:
    said = {path for path, _, _ in chart.told(VALUES)}
    unsaid = {path for path in leaves(yaml.safe_load(VALUES)) if not any(path.startswith(one) for one in said)}
    assert unsaid <= {path for path in unsaid if path.startswith("ray.workers.")}


def test_a_text_goes_on_over_lines_and_belongs_to_the_key_below() -> None:
    values = "a:\n  # -- First\n  # second.\n  b: 1\n  c: 2\n# -- Third.\nd: {e: 3}\n"
    assert list(chart.told(values)) == [("a.b", "1", "First second."), ("d", '{"e": 3}', "Third.")]


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"
