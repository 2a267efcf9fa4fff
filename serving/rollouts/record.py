"""Counts and evidence as JSON: what the audit keeps, and from what a controller goes on after any crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.rollouts.e_process import EProcess
from serving.rollouts.evidence import Evidence, StepCounts, Tables
from serving.rollouts.gate import GateSet
from serving.rollouts.stratum import ROWS, Counts, Stratum, StratumCounts

# Of the one before each answer was an event of latency, where now a run is.
FORMAT, _OF_ANSWERS = 2, 1


def dump_counts(gates: GateSet, counts: StratumCounts) -> dict[str, Any]:
    """Six rows for each gate of which something was seen, by its name, so that plans may change between releases."""
    rows = {gate.name: counts.events[:, gates.columns_of(gate)] for gate in gates.gates}
    return {
        "stratum": counts.stratum._asdict(),
        "requests": counts.requests.tolist(),
        "keys": counts.keys.tolist(),
        "gates": {name: of_gate.tolist() for name, of_gate in rows.items() if of_gate.any()},
    }


def load_counts(gates: GateSet, document: Mapping[str, Any]) -> StratumCounts:
    """What `dump_counts` wrote; gates that are not in it saw nothing, those that are not known are left out."""
    events = np.zeros((ROWS, gates.columns), np.int64)
    for gate in gates.gates:
        if gate.name in document["gates"]:
            events[:, gates.columns_of(gate)] = document["gates"][gate.name]
    return StratumCounts(
        Stratum(**document["stratum"]), _counts(document["requests"]), _counts(document["keys"]), events
    )


def dump(evidence: Evidence) -> dict[str, Any]:
    """Plain JSON, from which `load` makes the same evidence to the last bit."""
    step = evidence.step
    return {
        "format": FORMAT,
        "next_slice": evidence.process.next_slice,
        "a": evidence.process.a.tolist(),
        "by_weight": _tables_out(evidence.by_weight),
        "requests": evidence.requests.tolist(),
        "step": {
            "step": step.step,
            "by_weight": _tables_out(step.by_weight),
            "every": step.every.tolist(),
            "requests": step.requests.tolist(),
            "keys": step.keys.tolist(),
        },
    }


def of_answers(document: Mapping[str, Any] | None) -> bool:
    """Whether the release before this form wrote it; `older_release` says what of it goes on."""
    return document is not None and document["format"] == _OF_ANSWERS


def readable(document: Mapping[str, Any] | None) -> str:
    """Why evidence cannot be gone on with as it is; "" where it can."""
    if document is None or document["format"] == FORMAT:
        return ""
    if of_answers(document):
        return "its evidence is of a release that counted every answer of latency, where a run counts now"
    return f"its evidence is of format {document['format']}, and this release reads format {FORMAT}: start it again"


def load(gates: GateSet, document: Mapping[str, Any]) -> Evidence:
    """What `dump` wrote, under the same gates.

    Raises:
        ValueError: of another format, or of other gates.
    """
    if why := readable(document):
        raise ValueError(why)
    if len(document["a"]) != gates.against.size:
        raise ValueError("evidence of other gates than those of the plan")
    process = EProcess(document["next_slice"], np.array(document["a"], np.float64))
    return Evidence(
        process, _tables_in(document["by_weight"]), _counts(document["requests"]), _step_in(document["step"])
    )


def _step_in(document: Mapping[str, Any]) -> StepCounts:
    return StepCounts(
        document["step"],
        _tables_in(document["by_weight"]),
        _counts(document["every"]),
        _counts(document["requests"]),
        _counts(document["keys"]),
    )


def _tables_out(tables: Tables) -> dict[str, Any]:
    return {str(weight_bp): rows.tolist() for weight_bp, rows in tables.items()}


def _tables_in(document: Mapping[str, Any]) -> Tables:
    return {int(weight_bp): _counts(rows) for weight_bp, rows in document.items()}


def _counts(rows: Any) -> Counts:  # noqa: ANN401 - nested lists of any depth
    return np.array(rows, np.int64)
