"""Each value of the chart says what it means; versions are those of the product."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deployments import chart

ROOT = Path(__file__).parents[3]
VALUES = (chart.CHART / "values.yaml").read_text()


def test_each_value_has_one_sentence() -> None:
    said = {path for path, _, _ in chart.told(VALUES)}
    unsaid = {path for path in leaves(yaml.safe_load(VALUES)) if not any(path.startswith(one) for one in said)}
    assert unsaid <= {path for path in unsaid if path.startswith("ray.workers.")}


def test_a_text_goes_on_over_lines_and_belongs_to_the_key_below() -> None:
    values = "a:\n  # -- First\n  # second.\n  b: 1\n  c: 2\n# -- Third.\nd: {e: 3}\n"
    assert list(chart.told(values)) == [("a.b", "1", "First second."), ("d", '{"e": 3}', "Third.")]


def test_versions_are_those_that_are_pinned_and_released() -> None:
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"ray=={yaml.safe_load(VALUES)['ray']['version']}" in pinned
    released = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    described = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    assert (described["version"], described["appVersion"]) == (released, released)
    compose = yaml.safe_load((ROOT / "deployments" / "docker" / "compose.yaml").read_text())
    assert compose["x-sluice"]["image"] == f"sluice:{released}"


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"
