"""The shadow stage as people see it: pairs and how they differ, times side by side, and each gate with its sentence."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from serving.rollouts import shadow, shadow_words
from serving.rollouts.measuring import Basis
from serving.rollouts.plan import ShadowStage
from serving.rollouts.rollout import Rollout
from serving.rollouts.shadow import GateReading
from serving.state.rollout_counts import StratumName

_QUANTILES = (0.5, 0.9, 0.99)


def shadow_view(
    rollout: Rollout, counted: Mapping[StratumName, Mapping[str, int]], differences: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """All of it, None where the plan has no such stage; `counted` are slices that may be in no evidence yet."""
    stage = rollout.in_force().shadow
    if stage is None:
        return None
    evidence = shadow.load(rollout.shadow)
    new = {name: fields for name, fields in counted.items() if name.slice > evidence.folded}
    evidence = shadow.with_slices(stage, evidence, new)
    every = evidence.every
    return {
        "percent": stage.percent,
        "least_s": stage.duration_s,
        "most_s": stage.most_s,
        "copies": {name: every.get(f"copies.{name}", 0) for name in ("ok", "failed", "dropped")},
        "decisions": {"same": every.get("flips.0", 0), "otherwise": every.get("flips.1", 0)},
        "deltas": _deltas(stage, every),
        "runs": _runs(rollout.basis or Basis(), every),
        "gates": [_gate(reading) for reading in shadow.readings(stage, evidence)],
        "differences": list(differences),
    }


def _deltas(stage: ShadowStage, every: Mapping[str, int]) -> list[dict[str, Any]]:
    edges = (*shadow.delta_edges(stage), None)
    found = [{"up_to": edge, "pairs": every.get(f"deltas.{place}", 0)} for place, edge in enumerate(edges)]
    return [one for one in found if one["pairs"]]


def _runs(basis: Basis, every: Mapping[str, int]) -> dict[str, Any]:
    """How many pairs ran for how long on either side, and what so many of all runs took at most; None beyond bounds."""
    bounds = (*basis.latency_bounds_us, None)
    pairs = {event: count for event, count in every.items() if event.startswith("runs.")}
    cells, sides = [], ([0] * len(bounds), [0] * len(bounds))
    for event, count in sorted(pairs.items()):
        places = [int(place) for place in event.split(".")[1:]]
        if max(places) >= len(bounds):
            continue
        cells.append({"stable_us": bounds[places[0]], "shadow_us": bounds[places[1]], "pairs": count})
        for side, place in zip(sides, places, strict=True):
            side[place] += count
    stable, shadows = (_quantiles(side, bounds) for side in sides)
    return {"pairs": cells, "stable": stable, "shadow": shadows}


def _quantiles(counts: Sequence[int], bounds: Sequence[int | None]) -> dict[str, int | None]:
    total = sum(counts)
    if not total:
        return {}
    up_to = list(accumulate(counts))
    return {f"p{100 * quantile:g}_us": bounds[bisect_left(up_to, quantile * total)] for quantile in _QUANTILES}


def _gate(reading: GateReading) -> dict[str, Any]:
    return {
        "name": reading.name,
        "largest": reading.largest,
        "events": reading.events,
        "pairs": reading.pairs,
        "share_between": list(reading.between),
        "evidence": reading.against,
        "needed": reading.needed,
        "kept": reading.kept,
        "sentence": shadow_words.of_reading(reading),
    }
