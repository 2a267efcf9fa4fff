"""Counts as gateway workers would send them, drawn for a described world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serving.rollouts.gate import GateSet
from serving.rollouts.guardrail import Before
from serving.rollouts.simulated_runs import NORMAL, Runs, Speed, leading, of_one_row, over, run_together
from serving.rollouts.stratum import WHOLE_BP, Counts, Floats, Stratum, StratumCounts
from serving.rollouts.world import SCORE_BINS, World, measured, score_shares, shares_over
from serving.routing.table import RUN_SIZES


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
    speed: Speed
    scores: Floats


def _arms(world: World, now_s: float, step: int) -> tuple[_Arm, _Arm]:
    errors, fault = world.errors(now_s), world.fault
    stable, slower = _Arm(errors, NORMAL, _STABLE_SCORES), 1.0
    if world.outage is not None and world.broken(now_s):
        errors, slower = min(1.0, errors * world.outage.error_ratio), world.outage.latency_factor
        stable = _Arm(errors, Speed(slower), _STABLE_SCORES)
    if not world.faulty(now_s, step):
        return stable, stable
    speed = Speed(slower * fault.latency_factor, fault.slow_share, fault.slow_factor)
    canary = _Arm(min(1.0, errors * fault.error_ratio), speed, score_shares(fault.score_shift))
    return canary, stable


def before_start(world: World, draw: np.random.Generator) -> Before:
    """A minute of the stable version alone, as it is measured before the first step."""
    requests = int(draw.poisson(world.requests_per_min * world.load(0.0)))
    errors = int(draw.binomial(requests, world.errors(0.0)))
    runs = run_together(world.batches, requests, 60.0, NORMAL, draw) if world.batches else None
    over = shares_over()[measured().tails[1]]
    slow = int(draw.binomial(requests, over)) if runs is None else int((runs.levels > measured().tails[1]).sum())
    return Before((requests, requests if runs is None else runs.levels.size), (errors, slow))


_STABLE_SCORES = score_shares()


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
        arms = _arms(self._world, middle_s, stratum.step)
        both = [self._drawn(int(count), arm, length_s) for count, arm in zip(requests, arms, strict=True)]
        first, every = (np.stack(rows) for rows in zip(*both, strict=True))
        return StratumCounts(stratum, requests, requests, np.concatenate([first, every, every]))

    def _drawn(self, count: int, arm: _Arm, length_s: float) -> tuple[Counts, Counts]:
        """An arm's events by column: those that are evidence, and all."""
        drawn = {
            "errors": np.array([self._draw.binomial(count, arm.errors)]),
            "features_missing": np.array([self._draw.binomial(count, self._world.missing_rate)]),
        }
        runs = self._runs(count, arm, length_s)
        drawn["scores"] = self._draw.multinomial(count, arm.scores)
        drawn["split"] = np.array([count])
        drawn["latency"] = runs.over_by_row()
        first, every = np.zeros((2, self._gates.columns), np.int64)
        for gate in self._gates.gates:
            columns = self._gates.columns_of(gate)
            if gate.of_runs:
                first[columns], every[columns] = runs.columns(runs.leads), runs.columns()
            elif gate.name in drawn:
                first[columns] = every[columns] = drawn[gate.name]
        return first, every

    def _runs(self, count: int, arm: _Arm, length_s: float) -> Runs:
        if self._world.batches is None:
            return of_one_row(count, length_s, arm.speed, self._draw)
        return run_together(self._world.batches, count, length_s, arm.speed, self._draw)


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
        seen = self._run(seen, _arms(self._world, middle_s, stratum.step), length_s)
        evidence = seen.evidence()
        first, _ = self._firsts.count(evidence)
        in_step, new_keys = self._step_firsts.count(seen)
        ran = seen.ran()
        rows = np.concatenate(
            [self._rows(first, evidence.ran()), self._rows(in_step, ran), self._rows(seen.every(), ran)]
        )
        canary = int(on_canary.sum())
        return StratumCounts(stratum, np.array([canary, count - canary]), new_keys, rows)

    def _seen(self, keys: NDArray[np.intp], on_canary: NDArray[np.bool_], arms: tuple[_Arm, _Arm]) -> _Seen:
        canary, stable = arms
        chance = self._draw.random((4, keys.size))
        errors = np.where(on_canary, canary.errors, stable.errors) * self._proneness[keys]
        levels = np.searchsorted(1 - stable.speed.over(), chance[1], side="right")
        scores = np.searchsorted(np.cumsum(stable.scores)[:-1], chance[2])
        if canary is not stable:
            levels = np.where(on_canary, np.searchsorted(1 - canary.speed.over(), chance[1], side="right"), levels)
            scores = np.where(on_canary, np.searchsorted(np.cumsum(canary.scores)[:-1], chance[2]), scores)
        missing = chance[3] < self._world.missing_rate
        alone, every = np.zeros(keys.size, np.intp), np.ones(keys.size, np.bool_)
        return _Seen(keys, on_canary, chance[0] < errors, missing, levels, scores, alone, every, every)

    def _run(self, seen: _Seen, arms: tuple[_Arm, _Arm], length_s: float) -> _Seen:
        """With the runs that answered them: which of these lead a turn, and how many rows they had."""
        begins, leads = seen.begins.copy(), np.zeros_like(seen.leads)
        levels, sizes = seen.levels.copy(), seen.sizes.copy()
        for places, arm in zip((np.flatnonzero(seen.on_canary), np.flatnonzero(~seen.on_canary)), arms, strict=True):
            firsts = places
            if self._world.batches is None:
                turns = leading(places.size, length_s, self._draw)
            else:
                runs = run_together(self._world.batches, places.size, length_s, arm.speed, self._draw)
                levels[places], sizes[places] = np.repeat(runs.levels, runs.rows), np.repeat(runs.sizes, runs.rows)
                begins[places] = False
                firsts, turns = places[np.cumsum(runs.rows) - runs.rows], runs.leads
                begins[firsts] = True
            leads[firsts[turns]] = True
        return replace(seen, levels=levels, sizes=sizes, begins=begins, leads=leads)

    def _rows(self, counts: dict[str, Counts], ran: Counts) -> Counts:
        rows = np.zeros((2, self._gates.columns), np.int64)
        for gate in self._gates.gates:
            if gate.of_runs:
                slow = counts["latency"].reshape(2, -1)
                rows[:, self._gates.columns_of(gate)] = np.concatenate([slow, ran], axis=1)
            elif gate.name in counts:
                rows[:, self._gates.columns_of(gate)] = counts[gate.name]
        return rows


@dataclass(frozen=True, slots=True)
class _Seen:
    """Requests of one tick; `levels` is how many bounds of latency each exceeds, `sizes` the class of its run.

    One of each run begins it, and counts for it; where that is the first run of a turn it leads.
    """

    keys: NDArray[np.intp]
    on_canary: NDArray[np.bool_]
    errors: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    levels: NDArray[np.intp]
    scores: NDArray[np.intp]
    sizes: NDArray[np.intp]
    begins: NDArray[np.bool_]
    leads: NDArray[np.bool_]

    def evidence(self) -> _Seen:
        """Where no run counts but the first one of each turn."""
        return replace(self, begins=self.leads)

    def ran(self) -> Counts:
        """Runs by arm and class of size."""
        arms = (self.on_canary, ~self.on_canary)
        return np.array([np.bincount(self.sizes[self.begins & arm], minlength=RUN_SIZES) for arm in arms])

    def every(self) -> dict[str, Counts]:
        """All events, whoever's."""
        everyone = np.ones(self.keys.size, np.bool_)
        return {
            "errors": _by_arm(self.errors, self.on_canary),
            "features_missing": _by_arm(self.missing, self.on_canary),
            "split": _by_arm(everyone, self.on_canary),
            "latency": np.array(
                [
                    over(self.levels[of], self.sizes[of])
                    for of in (self.begins & self.on_canary, self.begins & ~self.on_canary)
                ]
            ),
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
            "latency": self._new_levels(seen),
            "scores": np.array([_bins(score_of[arm]) for arm in (on_canary[new], ~on_canary[new])]),
        }
        return counts, counts["split"][:, 0]

    def _new(self, seen: _Seen, name: str, happened: NDArray[np.bool_]) -> Counts:
        keys, places = np.unique(seen.keys[happened], return_index=True)
        new = ~self._had[name][keys]
        self._had[name][keys] = True
        return _by_arm(new, seen.on_canary[happened][places])

    def _new_levels(self, seen: _Seen) -> Counts:
        """By arm, bound and class of size: what keys were never slower than, each by its slowest run."""
        slow = np.flatnonzero(seen.begins & (seen.levels > self._level[seen.keys]))
        slow = slow[np.lexsort((seen.levels[slow], seen.keys[slow]))]
        keys = seen.keys[slow]
        slowest = slow[np.append(keys[1:] != keys[:-1], True)[: keys.size]]
        before, after = self._level[seen.keys[slowest]], seen.levels[slowest]
        self._level[seen.keys[slowest]] = after
        sizes, on_canary = seen.sizes[slowest], seen.on_canary[slowest]
        return np.array(
            [over(after[arm], sizes[arm]) - over(before[arm], sizes[arm]) for arm in (on_canary, ~on_canary)]
        )


def _by_arm(happened: NDArray[np.bool_], on_canary: NDArray[np.bool_]) -> Counts:
    canary = int((happened & on_canary).sum())
    return np.array([[canary], [int(happened.sum()) - canary]])


def _bins(scores: NDArray[np.intp]) -> Counts:
    return np.bincount(scores, minlength=SCORE_BINS)
