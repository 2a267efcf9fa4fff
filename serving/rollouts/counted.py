"""Counts as gateway workers left them, by name, as the rule takes them, by column."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serving.rollouts.gate import GateSet
from serving.rollouts.stratum import ROWS, Stratum, StratumCounts
from serving.routing.table import RUN_SIZES
from serving.state.rollout_counts import RAN, SLOW, StratumName

_RUNS_OF = "latency"


def stratum_counts(gates: GateSet, name: StratumName, fields: Mapping[str, int]) -> StratumCounts:
    """Fields are `row|event`, `requests|arm` and `keys|arm`; events of no gate of the plan are left out."""
    events = np.zeros((ROWS, gates.columns), np.int64)
    for field, count in fields.items():
        row, _, event = field.partition("|")
        if row.isdigit():
            column = _column(gates, event)
            if column >= 0:
                events[int(row), column] += count
    return StratumCounts(Stratum(*name), _by_arm("requests", fields), _by_arm("keys", fields), events)


def _by_arm(what: str, fields: Mapping[str, int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([fields.get(f"{what}|{arm}", 0) for arm in (0, 1)], np.int64)


def _column(gates: GateSet, event: str) -> int:
    """Where an event is counted, such as `errors`, `scores.3` or `slow.3.0`; -1 for one that no gate has.

    Where runs are counted (`ran.0`) is behind the bins of the gate that asks for them.
    """
    name, *places = event.split(".")
    of_gate = _RUNS_OF if name in {RAN, SLOW} else name
    gate = next((gate for gate in gates.gates if gate.name == of_gate), None)
    # What workers of an older release count of each request, where this one counts runs, has the gate's own name.
    if gate is None or (gate.of_runs and (name == of_gate or len(places) != (1 if name == RAN else 2))):
        return -1
    numbers = [int(place) for place in places] or [0]
    place, size = (gate.bins, numbers[0]) if name == RAN else (numbers[0], numbers[-1] if gate.of_runs else 0)
    known = place < gate.bins + (name == RAN) and (size < RUN_SIZES)
    return gates.columns_in(gate, place)[size] if known else -1
