"""The shadow stage: what pairs of answers came to, the evidence of that, and what follows; no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from serving.rollouts import rate_evidence, shadow_words
from serving.rollouts.confidence import rate_interval
from serving.rollouts.e_process import EProcess
from serving.rollouts.no_harm import ALPHA
from serving.rollouts.plan import Otherwise, Plan, ShadowStage
from serving.rollouts.verdict import WARNING, Action, Look, Outcome, Verdict, of_guardrail, of_store_error, unconfirmed
from serving.state.rollout_counts import StratumName

Fields = Mapping[str, int]
FORMAT = 1
# Distances of scores are counted between these, and the plan's margin.
_EDGES = (1e-6, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0, 100.0)
# Rows of a stratum's counts in which the canary's first events and all of its events are: copies ran on its version.
_FIRST, _EVERY = "0|", "4|"
# Of the bins that a gate counts, by the part of their names before the point.
_COUNTED = {"flips": "flips", "deltas": "deltas", "errors": "copies"}
DISPLAY_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class ShadowEvidence:
    """Of all slices up to `folded`: each gate's process, and counts by event, of first pairs of keys and of all."""

    folded: int = -1
    processes: Mapping[str, EProcess] = field(default_factory=dict)
    first: Fields = field(default_factory=dict)
    every: Fields = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateReading:
    """`events` of `pairs` went against a gate; the evidence for more than allowed is `against`, for less `kept`."""

    name: str
    largest: float
    alpha: float
    events: int
    pairs: int
    against: float
    kept: float

    @property
    def needed(self) -> float:
        """The evidence that stops the canary."""
        return 1 / self.alpha

    @property
    def shown(self) -> bool:
        """The limit is kept, for all that is known."""
        return self.kept >= 1 / ALPHA

    @property
    def between(self) -> tuple[float, float]:
        """Bounds of the share that hold at all looks, for display."""
        return rate_interval(self.events, self.pairs, DISPLAY_ALPHA)


def delta_edges(stage: ShadowStage) -> tuple[float, ...]:
    """Where distances of scores are parted: the margin is one of the edges."""
    return tuple(sorted({*_EDGES, stage.margin}))


def with_slices(stage: ShadowStage, evidence: ShadowEvidence, counted: Mapping[StratumName, Fields]) -> ShadowEvidence:
    """With more slices, none of which may come twice; the result is the same however they are parted between calls."""
    for time_slice, group in groupby(sorted(counted), key=lambda name: name.slice):
        parts = [counted[name] for name in group]
        first, every = _by_event(parts, _FIRST), _by_event(parts, _EVERY)
        processes = {name: _grown(stage, name, evidence.processes.get(name), time_slice, first) for name in stage.gates}
        evidence = ShadowEvidence(
            max(evidence.folded, time_slice), processes, _sum(evidence.first, first), _sum(evidence.every, every)
        )
    return evidence


def readings(stage: ShadowStage, evidence: ShadowEvidence) -> tuple[GateReading, ...]:
    """Each gate's numbers, in the order of the plan."""
    return tuple(_reading(stage, evidence, name) for name in stage.gates)


def judge(plan: Plan, stage: ShadowStage, evidence: ShadowEvidence, look: Look) -> Verdict:
    """The verdict of this look, which knows how long the stage has lasted: harm before lack of time, pairs or proof."""
    verdict = _judged(plan, stage, evidence, look)
    return unconfirmed(look, verdict) if look.unconfirmed and verdict.action is Action.ADVANCE else verdict


def _judged(plan: Plan, stage: ShadowStage, evidence: ShadowEvidence, look: Look) -> Verdict:
    elapsed_s = look.elapsed_s
    if look.hard_stop:
        return Verdict(Outcome.FAIL, Action.ROLLBACK, "hard_stop", look.hard_stop)
    unread = of_store_error(look, over=elapsed_s >= stage.most_s)
    if unread is not None:
        return unread
    found, pairs = readings(stage, evidence), copies(evidence)
    harm = _harm(plan, found)
    harm = harm or of_guardrail(look)
    if harm is not None:
        return harm
    if elapsed_s < stage.duration_s:
        return Verdict(Outcome.WAITING, Action.HOLD, "too_early", shadow_words.too_early(stage, elapsed_s, pairs))
    reason, sentence, otherwise = _open_question(plan, found, pairs)
    if reason:
        return _undecided(reason, sentence, otherwise, over=elapsed_s >= stage.most_s)
    return Verdict(Outcome.PASS, Action.ADVANCE, "shadow_passed", shadow_words.passed(found, pairs))


def copies(evidence: ShadowEvidence) -> int:
    """Copies that ran, whatever came of them."""
    return evidence.first.get("copies.ok", 0) + evidence.first.get("copies.failed", 0)


def dump(evidence: ShadowEvidence) -> dict[str, Any]:
    """Plain JSON, from which `load` makes the same evidence to the last bit."""
    return {
        "format": FORMAT,
        "folded": evidence.folded,
        "processes": {name: [one.next_slice, one.a.tolist()] for name, one in evidence.processes.items()},
        "first": dict(evidence.first),
        "every": dict(evidence.every),
    }


def load(document: Mapping[str, Any] | None) -> ShadowEvidence:
    """What `dump` wrote; nothing of None.

    Raises:
        ValueError: of another format.
    """
    if document is None:
        return ShadowEvidence()
    if document["format"] != FORMAT:
        raise ValueError(f"a shadow's evidence of format {document['format']}; this release reads format {FORMAT}")
    processes = {name: EProcess(following, np.array(a)) for name, (following, a) in document["processes"].items()}
    return ShadowEvidence(document["folded"], processes, document["first"], document["every"])


def _harm(plan: Plan, found: Sequence[GateReading]) -> Verdict | None:
    """Floors only delay a verdict, so that they leave the guarantee as it is."""
    for reading in found:
        enough = reading.events >= plan.min_events and reading.pairs >= plan.min_requests
        if reading.against >= reading.needed and enough:
            sentence = shadow_words.of_reading(reading)
            return Verdict(Outcome.FAIL, Action.ROLLBACK, f"shadow_{reading.name}", sentence, gate=reading.name)
    return None


def _open_question(plan: Plan, found: Sequence[GateReading], pairs: int) -> tuple[str, str, Otherwise]:
    """Why nothing is decided, as a label and as a sentence, and what the plan does then; empty where all is shown."""
    if pairs < plan.min_requests:
        return "few_pairs" if pairs else "no_pairs", shadow_words.few(pairs, plan), plan.on_no_data
    warned = [reading for reading in found if reading.against >= WARNING]
    if warned:
        # Evidence against it: going on in spite of it is for a person to say.
        otherwise = Otherwise.PAUSE if plan.on_inconclusive is Otherwise.ADVANCE else plan.on_inconclusive
        return "warning", "; ".join(map(shadow_words.of_reading, warned)), otherwise
    lacking = [reading for reading in found if not reading.shown]
    if lacking:
        return "shadow_unproven", "; ".join(map(shadow_words.of_reading, lacking)), plan.on_inconclusive
    return "", "", plan.on_inconclusive


def _undecided(reason: str, sentence: str, otherwise: Otherwise, *, over: bool) -> Verdict:
    if not over:
        return Verdict(Outcome.WAITING, Action.HOLD, reason, sentence)
    actions = {
        Otherwise.PAUSE: Action.PAUSE,
        Otherwise.ABORT: Action.ROLLBACK,
        Otherwise.ADVANCE: Action.ADVANCE,
    }
    return Verdict(Outcome.INCONCLUSIVE, actions[otherwise], reason, sentence)


def _grown(stage: ShadowStage, name: str, process: EProcess | None, time_slice: int, first: Fields) -> EProcess:
    process = rate_evidence.begin() if process is None else process
    events, pairs = _events(stage, name, first)
    return rate_evidence.grown(process, stage.gates[name].largest, [(time_slice, events, pairs)] if pairs else [])


def _reading(stage: ShadowStage, evidence: ShadowEvidence, name: str) -> GateReading:
    gate, process = stage.gates[name], evidence.processes.get(name) or rate_evidence.begin()
    events, pairs = _events(stage, name, evidence.first)
    kept = rate_evidence.kept(gate.largest, events, pairs)
    return GateReading(name, gate.largest, gate.alpha, events, pairs, rate_evidence.against(process), kept)


def _events(stage: ShadowStage, name: str, fields: Fields) -> tuple[int, int]:
    """How many pairs went against a gate, of how many."""
    prefix = f"{_COUNTED[name]}."
    bins = {event.removeprefix(prefix): count for event, count in fields.items() if event.startswith(prefix)}
    # They never ran: a shadow that hangs has most of them dropped, and would hide its failures behind these.
    bins.pop("dropped", None)
    if name == "deltas":
        above = delta_edges(stage).index(stage.margin) + 1
        events = sum(count for place, count in bins.items() if int(place) >= above)
    else:
        events = bins.get("1" if name == "flips" else "failed", 0)
    return events, sum(bins.values())


def _by_event(parts: Iterable[Fields], row: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for fields in parts:
        for name, count in fields.items():
            if name.startswith(row):
                event = name.removeprefix(row)
                found[event] = found.get(event, 0) + count
    return found


def _sum(one: Fields, other: Fields) -> dict[str, int]:
    return {event: one.get(event, 0) + other.get(event, 0) for event in {**one, **other}}
