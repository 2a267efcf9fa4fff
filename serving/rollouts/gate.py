"""The gates a canary is judged by: which events count, what is allowed of them, and how sure a verdict has to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from serving.rollouts.alternatives import Alternatives, Family, better, evenly, other, worse
from serving.rollouts.confidence import RATIOS
from serving.rollouts.drift import tilts


class Kind(StrEnum):
    """How the events of a gate are compared."""

    RATE = "rate"  # one event: an error, a missing feature, an invalid output
    LATENCY = "latency"  # a bin for each bound: answers that took longer
    DRIFT = "drift"  # a bin for each tenth or so of the stable version's scores
    SPLIT = "split"  # every assignment: is the share of the canary its weight?


class Margin(NamedTuple):
    """What a promotion has to rule out in a bin: `ratio` times as many events, or an `excess` of their share."""

    bin: int
    ratio: float
    excess: float


@dataclass(frozen=True, slots=True)
class Gate:
    """`phi0` is the ratio that is allowed, `alpha` the chance that it stops a canary that keeps to it.

    Evidence of `1/alpha` decides. A gate without margins has no say in a promotion but for its warnings.
    """

    name: str
    kind: Kind
    alpha: float
    bins: int = 1
    phi0: float = 1.0
    margins: tuple[Margin, ...] = ()

    @property
    def needed(self) -> float:
        """The evidence that decides."""
        return 1 / self.alpha


class GateSet:
    """Gates with their bins side by side in columns, and the tables by which all are judged at once."""

    __slots__ = ("against", "columns", "firsts", "gates", "margins", "ratios", "safe")

    def __init__(self, gates: Sequence[Gate]) -> None:
        self.gates = tuple(gates)
        self.firsts: dict[str, int] = {}
        self.columns = 0
        for gate in self.gates:
            self.firsts[gate.name] = self.columns
            self.columns += gate.bins
        self.against = Alternatives([_against(gate, self.firsts[gate.name]) for gate in self.gates])
        self.margins = tuple((gate, margin) for gate in self.gates for margin in gate.margins)
        self.safe = (
            Alternatives([[better(self.column(gate, margin), margin.ratio)] for gate, margin in self.margins])
            if self.margins
            else None
        )
        self.ratios = Alternatives([[evenly(column, RATIOS)] for column in range(self.columns)])

    def column(self, gate: Gate, margin: Margin) -> int:
        """Where the events of a margin are."""
        return self.firsts[gate.name] + margin.bin

    def columns_of(self, gate: Gate) -> slice:
        """Where the events of a gate are."""
        first = self.firsts[gate.name]
        return slice(first, first + gate.bins)


def _against(gate: Gate, first: int) -> list[Family]:
    match gate.kind:
        case Kind.DRIFT:
            return [tilts(first, gate.bins)]
        case Kind.SPLIT:
            return [other(first)]
        case _:
            # The mean over bounds of a mixture each: one mixture. "Is the canary no slower?" is asked of all quantiles
            # at once, as by Lindon, Sanden and Shirikian, "Rapid regression detection in software deployments through
            # sequential testing" (KDD 2022).
            return [worse(first + place, gate.phi0, 1 / gate.bins) for place in range(gate.bins)]
