"""What a shadow's answer is held against: counts of a pair, and the text of a difference worth showing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np
import orjson

from serving.inference import Answer, Tensor
from serving.request_path.copies import Copy, Original
from serving.request_path.decisions import KINDS, Decision, distance
from serving.request_path.tallies import Difference

# Of inputs that are shown; the rest of a wide row is left out.
_MOST_VALUES = 200
_LARGEST = 1e300
_LONGEST_ID = 200


def compare(copy: Copy, answer: Answer, at_s: float) -> bool:
    """Count a pair for the arm of the copy; False where the answer has no score though its twin has one."""
    original = copy.original
    theirs = None if original.decision is None else original.decisions.of(answer.outputs, answer.start)
    if original.decision is not None and theirs is None:
        return False
    arm = original.arm
    bounds_s = arm.bounds_s
    places = bisect_left(bounds_s, original.run_s), bisect_left(bounds_s, answer.outputs.run_s or answer.run_s)
    arm.happened(f"runs.{places[0]}.{places[1]}")
    arm.happened("copies.ok", "copies", original.key)
    if original.decision is not None and theirs is not None:
        _count(copy, original.decision, theirs, at_s)
    return True


def _count(copy: Copy, ours: Decision, theirs: Decision, at_s: float) -> None:
    original = copy.original
    arm, key = original.arm, original.key
    delta = distance(ours.score, theirs.score)
    arm.happened(f"deltas.{bisect_left(original.shadow.delta_edges, delta)}", "deltas", key)
    flipped = ours.chosen != theirs.chosen
    if ours.chosen is not None:
        arm.happened(f"flips.{int(flipped)}", "flips", key)
    if flipped or delta:
        # Infinity is no number of JSON, nor of a sorted set's neighbours.
        size = min(delta, _LARGEST)
        if arm.shows(size):
            arm.differed(Difference(size, _told(copy, (ours, theirs), delta, at_s)))


def _told(copy: Copy, pair: tuple[Decision, Decision], delta: float, at_s: float) -> str:
    """As JSON; ids and inputs are the callers' own, and inputs are shown only where somebody asked for that."""
    original, (ours, theirs) = copy.original, pair
    told: dict[str, object] = {
        "at_s": round(at_s, 3),
        "request_id": _id(original),
        "stable": _side(ours),
        "shadow": _side(theirs),
        "delta": _number(delta),
        "flipped": ours.chosen != theirs.chosen,
    }
    if original.shadow.show_inputs:
        told["inputs"] = _first_row(copy.inputs)
    return orjson.dumps(told).decode()


def _id(original: Original) -> str:
    try:
        found = orjson.loads(original.id_json or b'""')
    except orjson.JSONDecodeError:
        return ""
    return str(found)[:_LONGEST_ID]


def _side(decision: Decision) -> Mapping[str, object]:
    return {"score": _number(decision.score), "decision": decision.chosen}


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def _first_row(inputs: Sequence[Tensor]) -> Mapping[str, object]:
    return {tensor.name: _values(tensor) for tensor in inputs}


def _values(tensor: Tensor) -> object:
    kind = KINDS.get(tensor.datatype)
    if kind is None or not tensor.shape:
        return f"({tensor.datatype})"
    values = np.frombuffer(tensor.rows(0, 1), kind)[:_MOST_VALUES].tolist()
    return [_number(value) for value in values]
