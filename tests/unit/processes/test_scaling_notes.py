"""What Serve's controller decided is told once."""

from __future__ import annotations

import json

from serving.processes.scaling_notes import ScalingNotes


def test_each_decision_is_told_once_and_wished_is_the_last_number() -> None:
    told: list[tuple[str, object]] = []
    store: dict[str, bytes] = {}
    notes = ScalingNotes(lambda kind, text: told.append((kind, text)), store.get)
    notes.look(["a", "b"])
    assert notes.wished == {}

    def decide(pool: str, wished: int, text: str) -> None:
        store[f"scaling:{pool}"] = json.dumps({"wished": wished, "text": text}).encode()

    decide("a", 1, "")
    notes.look(["a", "b"])
    assert (notes.wished, told) == ({"a": 1}, [])
    decide("a", 2, "more")
    for _ in range(3):
        notes.look(["a", "b"])
    decide("b", 3, "")
    notes.look(["a", "b"])
    assert (notes.wished, told) == ({"a": 2, "b": 3}, [("scaled", "more")])
    decide("a", 1, "fewer")
    notes.look(["a"])
    assert (notes.wished, told[1:]) == ({"a": 1}, [("scaled", "fewer")])
