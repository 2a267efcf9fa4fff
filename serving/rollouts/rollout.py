"""A rollout as it is kept: everything from which a controller goes on, whichever one and after whatever crash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from serving.rollouts import guardrail, plan_file, record
from serving.rollouts.evidence import Evidence, nothing
from serving.rollouts.gate import GateSet
from serving.rollouts.guardrail import Before, Guard
from serving.rollouts.measuring import Basis
from serving.rollouts.plan import Plan, gates_of
from serving.rollouts.transition import Phase, Standing
from serving.rollouts.verdict import Verdict
from serving.routing.table import ALL_KEYS

FORMAT = 1
MEASURING = "measuring"


@dataclass(frozen=True, slots=True)
class Said:
    """The last verdict, as people are told it."""

    outcome: str
    action: str
    reason: str
    sentence: str

    @classmethod
    def of(cls, verdict: Verdict) -> Said:
        """Without the numbers, which are made anew for whoever asks."""
        return cls(str(verdict.outcome), str(verdict.action), verdict.reason, verdict.sentence)


NOTHING_SAID = Said("waiting", "hold", MEASURING, "the stable version is measured before the first step")


class Owed(NamedTuple):
    """A message that webhook number `hook` of the plan has not got yet; its id stays when it is sent again."""

    id: str
    hook: int
    event: str
    body: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """`plan` is as somebody wrote it. Without `standing` the stable version is being measured, since `began_s`.

    `sticky` None is not known yet: it is seen from the first requests. `evidence` is that of all slices up to `folded`.
    `before` is what the guardrail holds the whole model against, and `guard` what it has seen up to `folded`.
    `runs` says where the canary runs; `own` are the replicas that it is to have for itself, None where it has none.
    `told` numbers the messages to webhooks, `owed` are those that are on their way; since `confirming_s` (0: it does
    not) it waits for a webhook's yes to go on.
    Keys below `key_sample` are judged; of those that were told, `keys_out` are not any more.
    `goal_us` is how long requests of the model may take in all, 0 where nobody promises it.
    `score` is the model's, held against `threshold` where its owner names one. `shadow` is the shadow stage's evidence.
    `pinned` is the version that somebody gave all traffic to, and with which the rollout ended. `settled`: it is over,
    and its last routing table is in force.
    """

    id: str
    model: str
    stable: int
    canary: int
    plan: Mapping[str, Any]
    started_s: float
    began_s: float
    by: str = ""
    score: tuple[str, int] = ("", 0)
    threshold: float | None = None
    sticky: bool | None = None
    requests_per_min: float = 0.0
    basis: Basis | None = None
    count_from_s: float = 0.0
    standing: Standing | None = None
    evidence: Mapping[str, Any] | None = None
    folded: int = -1
    before: Before | None = None
    guard: Mapping[str, Any] | None = None
    shadow: Mapping[str, Any] | None = None
    said: Said = NOTHING_SAID
    told: int = 0
    owed: tuple[Owed, ...] = ()
    confirming_s: float = 0.0
    pinned: int = 0
    goal_us: int = 0
    key_sample: int = ALL_KEYS
    keys_out: int = 0
    runs: str = ""
    own: Mapping[str, Any] | None = None
    settled: bool = False
    number: int = 0

    @property
    def phase(self) -> str:
        """In one word."""
        return MEASURING if self.standing is None else str(self.standing.phase)

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return self.standing is not None and self.standing.over

    @property
    def apart(self) -> int:
        """The version that has replicas of its own as long as the rollout lasts; 0 where none has."""
        return 0 if self.over or self.pinned or self.own is None else self.canary

    def in_force(self) -> Plan:
        """The plan, with steps that fit the traffic where it says none."""
        return plan_file.parse(self.plan, self.requests_per_min)

    def gates(self) -> GateSet:
        """The gates, with the bins that the stable version's measurement gave."""
        basis = self.basis or Basis()
        return GateSet(gates_of(self.in_force(), basis.measured()))

    def folded_evidence(self, gates: GateSet) -> Evidence:
        """Of all slices that are over."""
        return nothing(gates) if self.evidence is None else record.load(gates, self.evidence)

    def folded_guard(self, before: Before) -> Guard:
        """Of all slices that are over."""
        return guardrail.begin(before) if self.guard is None else guardrail.load(self.guard, before)

    def with_evidence(self, evidence: Evidence, folded: int) -> Rollout:
        """With slices up to `folded` in it."""
        return replace(self, evidence=record.dump(evidence), folded=folded)


def dump(rollout: Rollout) -> dict[str, Any]:
    """Plain JSON, from which `load` makes the same rollout."""
    document = {"format": FORMAT, **asdict(rollout)}
    if rollout.standing is not None:
        document["standing"]["accepted"] = sorted(rollout.standing.accepted)
    return document


def load(document: Mapping[str, Any]) -> Rollout:
    """What `dump` wrote; fields that are not known are left alone.

    Raises:
        ValueError: of another format.
    """
    if document.get("format") != FORMAT:
        raise ValueError(f"a rollout of format {document.get('format')}; this release reads format {FORMAT}")
    known: dict[str, Any] = {name: document[name] for name in Rollout.__slots__ if name in document}
    known["score"] = tuple(document["score"])
    if known.get("before") is not None:
        known["before"] = Before.load(known["before"])
    known["owed"] = tuple(Owed(*one) for one in document.get("owed", ()))
    known["said"] = Said(**document["said"])
    known["basis"] = None if document["basis"] is None else Basis.load(document["basis"])
    known["standing"] = None if document["standing"] is None else load_standing(document["standing"])
    return Rollout(**known)


def load_all(documents: Iterable[Mapping[str, Any]]) -> list[Rollout]:
    """Those that this release can read: one of another release must not hide all others."""
    found = []
    for document in documents:
        with suppress(ValueError, KeyError, TypeError):
            found.append(load(document))
    return found


def load_standing(document: Mapping[str, Any]) -> Standing:
    """A standing of its JSON form."""
    accepted = frozenset(document["accepted"])
    return Standing(**{**document, "phase": Phase(document["phase"]), "accepted": accepted})
