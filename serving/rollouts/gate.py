"""The gates a canary is judged by: which events count, what is allowed of them, and how sure a verdict has to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from serving.rollouts.alternatives import WORSE, Alternatives, Family, better, evenly, other
from serving.rollouts.confidence import RATIOS
from serving.rollouts.drift import tilts
from serving.rollouts.run_alternatives import RunFamily, share_of
from serving.rollouts.stratum import WHOLE_BP, Counts, Floats
from serving.routing.table import RUN_SIZES


class Kind(StrEnum):
    """How the events of a gate are compared."""

    RATE = "rate"  # one event: an error, a missing feature, an invalid output
    LATENCY = "latency"  # a bin for each bound: runs that took longer, among those of about as many rows
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

    @property
    def of_runs(self) -> bool:
        """Whether its events are of runs: each of its bins has a column for each size, and so have the runs, behind."""
        return self.kind is Kind.LATENCY

    @property
    def width(self) -> int:
        """Its columns."""
        return (self.bins + 1) * RUN_SIZES if self.of_runs else self.bins


class Cells(NamedTuple):
    """A gate's events by arm, bin and class of size, and of each class the share of the canary that is expected."""

    events: Counts
    shares: Floats


class GateSet:
    """Gates with their bins side by side in columns, and the tables by which all are judged at once.

    Tables are counts by arm and column.
    """

    __slots__ = ("against", "columns", "firsts", "gates", "margins", "ratios", "safe")

    def __init__(self, gates: Sequence[Gate]) -> None:
        self.gates = tuple(gates)
        self.firsts: dict[str, int] = {}
        self.columns = 0
        for gate in self.gates:
            self.firsts[gate.name] = self.columns
            self.columns += gate.width
        self.against = Alternatives([self._against(gate) for gate in self.gates])
        self.margins = tuple((gate, margin) for gate in self.gates for margin in gate.margins)
        self.safe = Alternatives([self._safe(gate, margin) for gate, margin in self.margins]) if self.margins else None
        self.ratios = Alternatives([self._ratios(gate) for gate in self.gates])

    def columns_of(self, gate: Gate) -> slice:
        """Where the events of a gate are."""
        first = self.firsts[gate.name]
        return slice(first, first + gate.width)

    def columns_in(self, gate: Gate, place: int) -> tuple[int, ...]:
        """Where the events of one bin are: one column for each class of size that the gate tells apart."""
        first = self.firsts[gate.name]
        if not gate.of_runs:
            return (first + place,)
        return tuple(range(first + place * RUN_SIZES, first + (place + 1) * RUN_SIZES))

    def runs_of(self, gate: Gate) -> tuple[int, ...]:
        """Where the runs of each class are counted; none where requests are what is counted."""
        return self.columns_in(gate, gate.bins) if gate.of_runs else ()

    def by_bin(self, gate: Gate, table: Counts) -> Counts:
        """Events by arm and bin."""
        return np.stack([table[:, self.columns_in(gate, place)].sum(axis=1) for place in range(gate.bins)], axis=1)

    def of(self, gate: Gate, table: Counts, requests: Counts) -> Counts:
        """What events of the gate are counted among, by arm: its runs, or the requests that are handed in."""
        return table[:, self.runs_of(gate)].sum(axis=1) if gate.of_runs else requests

    def cells(self, gate: Gate, table: Counts, weight_bp: int) -> Cells:
        """All that is compared of a gate, of counts under one weight."""
        columns = [self.columns_in(gate, place) for place in range(gate.bins)]
        if not gate.of_runs:
            return Cells(table[:, columns], np.array([weight_bp / WHOLE_BP]))
        runs = table[:, self.runs_of(gate)].astype(np.float64)
        return Cells(table[:, columns], share_of(runs[0], runs.sum(axis=0)))

    def _against(self, gate: Gate) -> list[Family] | RunFamily:
        match gate.kind:
            case Kind.DRIFT:
                return [tilts(self.firsts[gate.name], gate.bins)]
            case Kind.SPLIT:
                return [other(self.firsts[gate.name])]
            case _:
                # The mean over bounds of a mixture each: one mixture. "Is the canary no slower?" is asked of all
                # quantiles at once, as by Lindon, Sanden and Shirikian, "Rapid regression detection in software
                # deployments through sequential testing" (KDD 2022).
                places = range(gate.bins)
                return self._evenly(gate, places, gate.phi0 * WORSE, gate.phi0, 1 / gate.bins)

    def _safe(self, gate: Gate, margin: Margin) -> list[Family] | RunFamily:
        return self._evenly(gate, [margin.bin], better(margin.ratio), margin.ratio)

    def _ratios(self, gate: Gate) -> list[Family] | RunFamily:
        return self._evenly(gate, range(gate.bins), RATIOS)

    def _evenly(
        self, gate: Gate, places: Sequence[int], phis: Floats, phi0: float = 1.0, share: float = 1.0
    ) -> list[Family] | RunFamily:
        columns = tuple(self.columns_in(gate, place) for place in places)
        if not gate.of_runs:
            return [evenly(column, phis, share, phi0) for (column,) in columns]
        return RunFamily(columns, self.runs_of(gate), phis, np.full(phis.size, share / phis.size), phi0)
