"""Counts as gateway workers left them, by name, as the rule takes them, by column."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serving.rollouts.gate import GateSet
from serving.rollouts.stratum import ROWS, Stratum, StratumCounts
from serving.state.rollout_counts import StratumName


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
    """Where an event is counted, such as `errors` or `latency.3`; -1 for one that no gate has."""
    name, _, place = event.partition(".")
    first = gates.firsts.get(name, -1)
    if first < 0:
        return -1
    bins = next(gate.bins for gate in gates.gates if gate.name == name)
    number = int(place) if place else 0
    return first + number if number < bins else -1
