"""What the rounds come to: medians, and ratios taken within a round before their median is."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

Cell = dict[str, Any]
# A load during which others used more of the machine than this says little: it is left out, whoever it is of.
DISTURBED_CORES = 0.5
# How `best_by_round` chooses, for those who read a report.
RULE = (
    "Where several peers are named, a ratio is to the better one of each round. A round in which one of them has no "
    "figure (it failed, or others disturbed it) though it has one of other rounds gives no ratio, since the better one "
    "may be missing; where no round is left, those are taken that have the peer with the best median. A peer without a "
    "figure of any round is not counted."
)


class Key(NamedTuple):
    """One line of the results: who was asked for what by how many at once."""

    contender: str
    workload: str
    connections: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of the rounds and their extremes."""

    median: float
    least: float
    most: float
    rounds: int

    def __str__(self) -> str:
        """The median, and of how many rounds between which extremes it is."""
        if self.rounds == 1:
            return f"{self.median:.2f}, one round"
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f}), {self.rounds} rounds"


def order(names: Sequence[str], round_number: int, seed: int) -> list[str]:
    """The order of one round: shuffled anew each time, and the same for the same seed."""
    shuffled = list(names)
    random.Random(seed * 1_000 + round_number).shuffle(shuffled)
    return shuffled


def spread(values: Iterable[float]) -> Spread:
    """At least one value."""
    found = list(values)
    return Spread(median(found), min(found), max(found), len(found))


def by_round(cells: Iterable[Cell], key: Key, figure: str) -> dict[int, float]:
    """One figure of one line, for each round that has it."""
    return {c["round"]: c[figure] for c in cells if _key(c) == key and not c["failed"] and not disturbed(c)}


def disturbed(cell: Cell) -> bool:
    """Others used the machine during this load."""
    return bool(cell.get("other_cores", 0.0) > DISTURBED_CORES)


def best_by_round(
    peers: Sequence[dict[int, float]], rounds: Collection[int], best: Callable[..., Any]
) -> dict[int, float]:
    """The better of several contenders in each of these rounds, each given by round; chosen by `RULE`."""
    known = [peer for peer in peers if peer]
    if not known:
        return {}
    strongest = best(known, key=lambda peer: median(peer.values()))
    whole = [number for number in rounds if all(number in peer for peer in known)]
    chosen = whole or [number for number in rounds if number in strongest]
    return {number: best(peer[number] for peer in known if number in peer) for number in chosen}


def ratio(ours: dict[int, float], theirs: dict[int, float]) -> Spread | None:
    """Ours to theirs within each round that has both: what slows a machine for a while slows both; None without any."""
    both = [ours[number] / theirs[number] for number in ours.keys() & theirs.keys() if theirs[number]]
    return spread(both) if both else None


def keys(cells: Iterable[Cell]) -> list[Key]:
    """Every line there is, in the order of first appearance."""
    return list(dict.fromkeys(_key(cell) for cell in cells))


def _key(cell: Cell) -> Key:
    return Key(cell["contender"], cell["workload"], cell["connections"])
