"""Counts as gateway workers would send them, drawn for a described world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serving.rollouts.alternatives import Floats
from serving.rollouts.gate import GateSet
from serving.rollouts.guardrail import Before
from serving.rollouts.stratum import ROWS, WHOLE_BP, Counts, Stratum, StratumCounts
from serving.rollouts.world import BOUNDS_MS, SCORE_BINS, World, measured, score_shares, shares_over


class Traffic(Protocol):
    """Where counts come from."""

    def tick(self, stratum: Stratum, begin_s: float, length_s: float) -> StratumCounts:
        """What is counted in so many seconds, of which all belong to the stratum."""


def traffic_of(world: World, gates: GateSet, draw: np.random.Generator) -> Traffic:
    """Per request, or per key where the world has keys."""
    return StickyTraffic(world, gates, draw) if world.keys else RequestTraffic(world, gates, draw)


@dataclass(frozen=True, slots=True)
class _Arm:
    """What an arm's requests do at one moment: probabilities."""

    errors: float
    over: Floats
    scores: Floats


def _arms(world: World, now_s: float, step: int) -> tuple[_Arm, _Arm]:
    errors, fault = world.errors(now_s), world.fault
    stable, slower = _Arm(errors, _STABLE_OVER, _STABLE_SCORES), 1.0
    if world.outage is not None and world.broken(now_s):
        errors, slower = min(1.0, errors * world.outage.error_ratio), world.outage.latency_factor
        stable = _Arm(errors, shares_over(slower), _STABLE_SCORES)
    if not world.faulty(now_s, step):
        return stable, stable
    over = shares_over(slower * fault.latency_factor, fault.slow_share, fault.slow_factor)
    canary = _Arm(min(1.0, errors * fault.error_ratio), over, score_shares(fault.score_shift))
    return canary, stable


def before_start(world: World, draw: np.random.Generator) -> Before:
    """A minute of the stable version alone, as it is measured before the first step."""
    requests = int(draw.poisson(world.requests_per_min * world.load(0.0)))
    errors = int(draw.binomial(requests, world.errors(0.0)))
    slow = int(draw.binomial(requests, _STABLE_OVER[measured().tails[1]]))
    return Before(requests, (errors, slow))


_STABLE_OVER, _STABLE_SCORES = shares_over(), score_shares()


class RequestTraffic:
    """Every request is assigned by itself."""

    def __init__(self, world: World, gates: GateSet, draw: np.random.Generator) -> None:
        self._world, self._gates, self._draw = world, gates, draw

    def tick(self, stratum: Stratum, begin_s: float, length_s: float) -> StratumCounts:
        """Binomial and multinomial counts of both arms."""
        middle_s = begin_s + length_s / 2
        expected = self._world.requests_per_min / 60 * length_s * self._world.load(middle_s)
        requests = self._draw.multinomial(
            self._draw.poisson(expected), [stratum.weight_bp / WHOLE_BP, 1 - stratum.weight_bp / WHOLE_BP]
        )
        rows = np.zeros((2, self._gates.columns), np.int64)
        for row, count, arm in zip(rows, requests, _arms(self._world, middle_s, stratum.step), strict=True):
            self._fill(row, int(count), arm)
        return StratumCounts(stratum, requests, requests, np.concatenate([rows] * (ROWS // 2)))

    def _fill(self, row: Counts, count: int, arm: _Arm) -> None:
        drawn = {
            "errors": np.array([self._draw.binomial(count, arm.errors)]),
            "features_missing": np.array([self._draw.binomial(count, self._world.missing_rate)]),
            "latency": _over(self._draw.multinomial(count, _between(arm.over))),
            "scores": self._draw.multinomial(count, arm.scores),
            "split": np.array([count]),
        }
        for gate in self._gates.gates:
            if gate.name in drawn:
                row[self._gates.columns_of(gate)] = drawn[gate.name]


class StickyTraffic:
    """Keys stay in their arm, some come often, some fail often; first events are counted over all workers."""

    def __init__(self, world: World, gates: GateSet, draw: np.random.Generator) -> None:
        self._world, self._gates, self._draw = world, gates, draw
        activity = draw.lognormal(0.0, world.key_spread, world.keys)
        self._ends = np.cumsum(activity / activity.sum())
        # With mean 1 over requests, so that the rate of errors is what the world says.
        proneness = draw.gamma(1 / world.error_spread, world.error_spread, world.keys)
        self._proneness = proneness / (proneness * activity).sum() * activity.sum()
        self._buckets = draw.integers(0, WHOLE_BP, world.keys)
        self._firsts = _Firsts(world.keys)
        self._step_firsts = _Firsts(world.keys)
        self._step = 0

    def tick(self, stratum: Stratum, begin_s: float, length_s: float) -> StratumCounts:
        """Requests of drawn keys, and what is new about each key."""
        if stratum.step != self._step:
            self._step, self._step_firsts = stratum.step, _Firsts(self._world.keys)
        middle_s = begin_s + length_s / 2
        expected = self._world.requests_per_min / 60 * length_s * self._world.load(middle_s)
        count = int(self._draw.poisson(expected))
        keys = np.minimum(np.searchsorted(self._ends, self._draw.random(count)), self._world.keys - 1)
        on_canary = self._buckets[keys] < stratum.weight_bp
        seen = self._seen(keys, on_canary, _arms(self._world, middle_s, stratum.step))
        first, _ = self._firsts.count(seen)
        in_step, new_keys = self._step_firsts.count(seen)
        rows = np.concatenate([self._rows(first), self._rows(in_step), self._rows(seen.every())])
        canary = int(on_canary.sum())
        return StratumCounts(stratum, np.array([canary, count - canary]), new_keys, rows)

    def _seen(self, keys: NDArray[np.intp], on_canary: NDArray[np.bool_], arms: tuple[_Arm, _Arm]) -> _Seen:
        canary, stable = arms
        chance = self._draw.random((4, keys.size))
        errors = np.where(on_canary, canary.errors, stable.errors) * self._proneness[keys]
        levels = np.searchsorted(1 - stable.over, chance[1], side="right")
        scores = np.searchsorted(np.cumsum(stable.scores)[:-1], chance[2])
        if canary is not stable:
            levels = np.where(on_canary, np.searchsorted(1 - canary.over, chance[1], side="right"), levels)
            scores = np.where(on_canary, np.searchsorted(np.cumsum(canary.scores)[:-1], chance[2]), scores)
        missing = chance[3] < self._world.missing_rate
        return _Seen(keys, on_canary, chance[0] < errors, missing, levels, scores)

    def _rows(self, counts: dict[str, Counts]) -> Counts:
        rows = np.zeros((2, self._gates.columns), np.int64)
        for gate in self._gates.gates:
            if gate.name in counts:
                rows[:, self._gates.columns_of(gate)] = counts[gate.name]
        return rows


@dataclass(frozen=True, slots=True)
class _Seen:
    """Requests of one tick; `levels` is how many bounds of latency each exceeds."""

    keys: NDArray[np.intp]
    on_canary: NDArray[np.bool_]
    errors: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    levels: NDArray[np.intp]
    scores: NDArray[np.intp]

    def every(self) -> dict[str, Counts]:
        """All events, whoever's."""
        everyone = np.ones(self.keys.size, np.bool_)
        return {
            "errors": _by_arm(self.errors, self.on_canary),
            "features_missing": _by_arm(self.missing, self.on_canary),
            "split": _by_arm(everyone, self.on_canary),
            "latency": np.array([_over_levels(self.levels[arm]) for arm in (self.on_canary, ~self.on_canary)]),
        }


class _Firsts:
    """What each key has had already."""

    def __init__(self, keys: int) -> None:
        self._had = {name: np.zeros(keys, np.bool_) for name in ("errors", "features_missing", "split")}
        self._level = np.zeros(keys, np.intp)

    def count(self, seen: _Seen) -> tuple[dict[str, Counts], Counts]:
        """First events by arm, and keys by arm that are new."""
        keys, first_places = np.unique(seen.keys, return_index=True)
        on_canary = seen.on_canary[first_places]
        new = ~self._had["split"][keys]
        self._had["split"][keys] = True
        score_of = seen.scores[first_places[new]]
        counts = {
            "errors": self._new(seen, "errors", seen.errors),
            "features_missing": self._new(seen, "features_missing", seen.missing),
            "split": _by_arm(new, on_canary),
            "latency": self._new_levels(seen, keys, on_canary),
            "scores": np.array([_bins(score_of[arm]) for arm in (on_canary[new], ~on_canary[new])]),
        }
        return counts, counts["split"][:, 0]

    def _new(self, seen: _Seen, name: str, happened: NDArray[np.bool_]) -> Counts:
        keys, places = np.unique(seen.keys[happened], return_index=True)
        new = ~self._had[name][keys]
        self._had[name][keys] = True
        return _by_arm(new, seen.on_canary[happened][places])

    def _new_levels(self, seen: _Seen, keys: NDArray[np.intp], on_canary: NDArray[np.bool_]) -> Counts:
        before = self._level[keys]
        np.maximum.at(self._level, seen.keys, seen.levels)
        after = self._level[keys]
        return np.array([_over_levels(after[arm]) - _over_levels(before[arm]) for arm in (on_canary, ~on_canary)])


def _by_arm(happened: NDArray[np.bool_], on_canary: NDArray[np.bool_]) -> Counts:
    canary = int((happened & on_canary).sum())
    return np.array([[canary], [int(happened.sum()) - canary]])


def _bins(scores: NDArray[np.intp]) -> Counts:
    return np.bincount(scores, minlength=SCORE_BINS)


def _over_levels(levels: NDArray[np.intp]) -> Counts:
    """How many exceed each bound."""
    return _over(np.bincount(levels, minlength=len(BOUNDS_MS) + 1))


def _over(between: Counts) -> Counts:
    return np.cumsum(between[::-1])[::-1][1:]


def _between(over: Floats) -> Floats:
    return -np.diff(np.concatenate([[1.0], over, [0.0]]))
