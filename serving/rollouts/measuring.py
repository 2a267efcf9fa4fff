"""What is learned of the stable version before the first step: where its answers' times and scores lie.

Gates compare shares over bounds and between edges. Both are put where the stable version's own answers are, before
the canary answers anything, so that nothing of the comparison has a say in its own ruler.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from serving.rollouts.guardrail import Before
from serving.rollouts.plan import Measured, tails_of
from serving.routing.table import RUN_SIZES
from serving.state.rollout_counts import LATE, RAN, SLOW

# Seven bounds to each factor of ten, from 50 microseconds to 30 seconds: a quarter more from one to the next is less
# than what the latency gate allows.
FINE_BOUNDS_US = tuple(round(50 * 10 ** (place / 7)) for place in range(41))
# Probabilities in hundredths, and beyond them, both ways, numbers of any size.
_BEYOND = tuple(10 ** (place / 4) for place in range(1, 25))
FINE_EDGES = (
    *(-edge for edge in reversed(_BEYOND)),
    *(place / 100 for place in range(-100, 101)),
    *_BEYOND,
)
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
_DEFAULT_BOUNDS_US = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000)
_SCORE_BINS = 10
# Fewer answers say little of where a hundredth of them lies.
ENOUGH = 500
# From so many runs on bounds are put where theirs are.
FEWEST_RUNS = ENOUGH // 10
# Row of a stratum's counts in which the stable version's events are, whether keys are counted once or not.
_EVERY_STABLE = "5"


@dataclass(frozen=True, slots=True)
class Basis:
    """Bounds of the `run` stage, the places of the two nearest to what a promotion asks for, and edges of scores."""

    latency_bounds_us: tuple[int, ...] = _DEFAULT_BOUNDS_US
    tails: tuple[int, int] = (6, 8)
    score_edges: tuple[float, ...] = ()

    def measured(self) -> Measured:
        """As gates take it; without edges there is no gate of scores."""
        bins = len(self.score_edges) + 1 if self.score_edges else 0
        return Measured(len(self.latency_bounds_us), self.tails, bins)

    def dump(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Basis:
        """What `dump` wrote."""
        low, high = document["tails"]
        return cls(tuple(document["latency_bounds_us"]), (low, high), tuple(document["score_edges"]))


@dataclass(frozen=True, slots=True)
class Measurement:
    """What workers counted of the stable version under the fine bounds, `over` of which are runs, as `ran` is."""

    requests: int
    over: tuple[int, ...]
    scores: tuple[int, ...]
    errors: int = 0
    over_goal: int = 0
    ran: int = 0

    @classmethod
    def of(cls, strata: Iterable[Mapping[str, int]]) -> Measurement:
        """Of the counts of all strata, by field."""
        requests, errors, late, ran, over, scores = 0, 0, 0, 0, [0] * len(FINE_BOUNDS_US), [0] * (len(FINE_EDGES) + 1)
        for fields in strata:
            requests += fields.get("requests|1", 0)
            errors += fields.get(f"{_EVERY_STABLE}|errors", 0)
            late += fields.get(f"{_EVERY_STABLE}|{LATE}", 0)
            for size in range(RUN_SIZES):
                ran += fields.get(f"{_EVERY_STABLE}|{RAN}.{size}", 0)
                for place in range(len(over)):
                    over[place] += fields.get(f"{_EVERY_STABLE}|{SLOW}.{place}.{size}", 0)
            for place in range(len(scores)):
                scores[place] += fields.get(f"{_EVERY_STABLE}|scores.{place}", 0)
        return cls(requests, tuple(over), tuple(scores), errors, late, ran)

    def before(self, *, goal: bool) -> Before:
        """What a guardrail holds the whole model against.

        Errors, runs over the rarer of the tails' bounds, and with a goal for the whole time runs that were over that.
        """
        basis = self.basis()
        bound_us = basis.latency_bounds_us[basis.tails[1]]
        # The default's bounds are none of the fine ones: the next one above it.
        place = next((at for at, fine in enumerate(FINE_BOUNDS_US) if fine >= bound_us), len(self.over) - 1)
        of, events = (self.requests, self.ran, self.ran), (self.errors, self.over[place], self.over_goal)
        looked_at = 3 if goal else 2
        return Before(of[:looked_at], tuple(map(min, events, of))[:looked_at])

    def basis(self) -> Basis:
        """Bounds and edges; those of the default where hardly anything was seen."""
        answered = self.over[0]
        if answered < FEWEST_RUNS:
            return Basis(score_edges=self._edges())
        shares = [count / answered for count in self.over]
        places = sorted({_nearest(shares, 1 - quantile) for quantile in _QUANTILES} | {_first_rare(shares)})
        tails = tails_of([shares[place] for place in places])
        return Basis(tuple(FINE_BOUNDS_US[place] for place in places), tails, self._edges())

    def _edges(self) -> tuple[float, ...]:
        """Of about equally many scores each; none where all scores are alike."""
        total = sum(self.scores)
        if total < ENOUGH // 10:
            return ()
        upto: list[int] = []
        for count in self.scores:
            upto.append((upto[-1] if upto else 0) + count)
        # Edge `j` is where bin `j` of the fine ones ends.
        wanted = (bisect_right(upto, total * place / _SCORE_BINS) for place in range(1, _SCORE_BINS))
        # All scores in one bin would leave an edge with nothing on one side, which finds every other score.
        return tuple(sorted({FINE_EDGES[place] for place in wanted if place < len(FINE_EDGES)}))


def _nearest(shares: list[float], wanted: float) -> int:
    return min(range(len(shares)), key=lambda place: abs(shares[place] - wanted))


def _first_rare(shares: list[float]) -> int:
    """A bound that next to nothing exceeds: where everything is about as fast, what becomes slow is seen there."""
    rare = (place for place, share in enumerate(shares) if share < 1e-3)  # noqa: PLR2004 - a tenth of the last tail
    return next(rare, len(shares) - 1)
