"""A rollout in text."""

from __future__ import annotations

from typing import Any

from serving.cli.rollout_screen import explained, tree
from tests.unit.cli.rollout_seen import SEEN

SHADOW: dict[str, Any] = {
    "percent": 10.0,
    "copies": {"ok": 1_200, "failed": 3, "dropped": 40},
    "decisions": {"same": 1_190, "otherwise": 10},
    "deltas": [{"up_to": 0.01, "pairs": 1_100}, {"up_to": None, "pairs": 100}],
    "runs": {"pairs": [], "stable": {"p50_us": 1_000, "p99_us": None}, "shadow": {}},
    "gates": [{"name": "flips", "sentence": "10 of 1,200 pairs decide otherwise"}],
    "differences": [
        {
            "request_id": "order\x1b[2J",
            "stable": {"score": 0.25, "decision": 0},
            "shadow": {"score": None, "decision": 1},
            "flipped": True,
            "inputs": None,
        }
    ],
}


def test_a_shadow_is_shown_with_its_pairs_and_those_that_differ_most() -> None:
    text = "\n".join(tree(SEEN | {"shadow": SHADOW}, 60.0))
    assert "copies of 10 % of the requests: 1,200 ran, 3 failed, 40 dropped" in text
    assert "decisions: 10 otherwise, 1,190 the same" in text
    assert "scores apart: 1,100 up to 0.01, 100 beyond" in text
    assert "runs on stable: p50 up to 1 ms, p99 beyond all bounds" in text
    assert "0.25 on stable, no number on the shadow, decided otherwise" in text


def test_a_callers_id_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in "\n".join(tree(SEEN | {"shadow": SHADOW}, 60.0))


def test_gates_of_the_shadow_are_explained_and_a_rollout_without_one_has_none() -> None:
    assert list(explained(SEEN | {"shadow": SHADOW})) == ["shadow flips: 10 of 1,200 pairs decide otherwise"]
    assert not list(explained(SEEN | {"shadow": None}))
