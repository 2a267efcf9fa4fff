"""What the demo says while a rollout goes on."""

from __future__ import annotations

from typing import Any

import pytest

from serving.cli.demo_canary import line


def seen(**more: Any) -> dict[str, Any]:
    known = {"phase": "step", "step": 0, "steps": [{}, {}], "weight_percent": 20.0, "canary": 3}
    return {**known, "reason": "too_early", "sentence": "why it stands there", "said": "what was seen", **more}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "step 1 of 2, 20 % to version 3: what was seen"),
        ({"reason": "measuring"}, "step 1 of 2, 20 % to version 3: from now on both are compared"),
        ({"phase": "measuring", "weight_percent": 0.0}, "measuring, 0 % to version 3: why it stands there"),
        ({"phase": "rolled_back", "weight_percent": 0.0}, "rolled back, 0 % to version 3: why it stands there"),
    ],
)
def test_a_line_says_where_it_stands_and_why(more: dict[str, Any], said: str) -> None:
    assert line(seen(**more)).plain.endswith(said)
