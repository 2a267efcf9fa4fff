"""Brings what a gateway worker counted of trials to the control Redis, every second."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable

from serving.errors import Unavailable
from serving.request_path.tallies import Tally
from serving.request_path.trials import Trials
from serving.routing.table import Trial
from serving.state.rollout_counts import CANARY, STABLE, ArmCounts, CountsWriter, StratumName

log = logging.getLogger(__name__)

EVERY_S = 1.0
SLICE_S = 5
# Flushes that wait for a server that is away; beyond, the oldest is given up: trials are judged by what is left.
_MOST_WAITING = 120


class TrialReporter:
    """Owns one task; `now` is the time of day in seconds, by which workers agree on slices."""

    def __init__(self, url: str, trials: Trials, now: Callable[[], float]) -> None:
        self._writer = CountsWriter(url, secrets.token_hex(8))
        self._trials = trials
        self._now = now
        self._number = 0
        self._waiting: list[tuple[str, int, list[ArmCounts]]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to report, until `stop`."""
        self._task = asyncio.get_running_loop().create_task(self._report(), name="trial counts")

    async def stop(self) -> None:
        """Report what was counted until now, once, and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._gather()
        await self._send()
        await self._writer.stop()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self._gather()
            await self._send()

    def _gather(self) -> None:
        by_rollout: dict[str, list[ArmCounts]] = {}
        for tally in self._trials.take():
            if tally.lost:
                log.warning("%d events of keys found no room in the counts of %s", tally.lost, tally.trial.rollout)
            by_rollout.setdefault(tally.trial.rollout, []).append(self._counted(tally))
        for rollout, parts in by_rollout.items():
            self._number += 1
            self._waiting.append((rollout, self._number, parts))
        if len(self._waiting) > _MOST_WAITING:
            log.warning("counts of trials are given up: the control Redis has not taken any for too long")
            del self._waiting[:-_MOST_WAITING]

    async def _send(self) -> None:
        try:
            while self._waiting:
                await self._writer.add(*self._waiting[0])
                del self._waiting[0]
        except Unavailable as error:
            log.debug("counts of trials wait: %s", error.message)

    def _counted(self, tally: Tally) -> ArmCounts:
        trial = tally.trial
        return ArmCounts(
            _stratum(trial, self._now()),
            CANARY if tally.canary else STABLE,
            trial.sticky,
            tally.requests,
            tally.events,
            tally.firsts,
            tally.crashes,
            tally.differences,
            runs=tally.runs,
        )


def _stratum(trial: Trial, now_s: float) -> StratumName:
    passed = max(0, int((now_s - trial.began_s) / SLICE_S))
    return StratumName(passed, trial.generation, trial.step, trial.weight_bp)
