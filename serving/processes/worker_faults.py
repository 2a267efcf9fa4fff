"""Charges a rollout's version with the gateway worker that died of a fault while it ran it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from serving.errors import ServingError
from serving.inference import VersionKey
from serving.routing.table import RouteTable, Trial

log = logging.getLogger(__name__)

# A control Redis that is away may be back by then; a rollout that nobody can judge meanwhile goes nowhere.
_TIMES, _EVERY_S = 60, 1.0
_CANARY, _STABLE = "canary", "stable"


class WorkerFaults:
    """Owns a task for each fault that is not told yet; the workers themselves may die again before they tell anything.

    `table` is the one in force. Without a control Redis there are no rollouts, and nothing to be told.
    """

    def __init__(self, url: str, again_after_s: float = _EVERY_S) -> None:
        self._url = url
        self._again_after_s = again_after_s
        self._table: Callable[[], Awaitable[RouteTable]] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def look_up_in(self, table: Callable[[], Awaitable[RouteTable]]) -> None:
        """From now on trials are known."""
        self._table = table

    def saw(self, key: VersionKey) -> None:
        """A worker died of a fault in a run of this version."""
        if not self._url or self._table is None:
            return
        task = asyncio.get_running_loop().create_task(self._tell(key, self._table), name=f"fault of {key}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def stop(self) -> None:
        """What is not told by now is not told any more."""
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    async def _tell(self, key: VersionKey, table: Callable[[], Awaitable[RouteTable]]) -> None:
        # Told again, as its answer may have been lost, it is the same fault.
        name = secrets.token_hex(8)
        for _ in range(_TIMES):
            try:
                found = charged(await table(), key)
                if found is not None:
                    await self._add(name, *found)
                return
            except ServingError as error:
                log.debug("the fault of %s cannot be told yet: %s", key, error.message)
            await asyncio.sleep(self._again_after_s)
        log.warning("a gateway worker died in a run of %s, and the control Redis was not there to be told", key)

    async def _add(self, name: str, trial: Trial, arm: int) -> None:
        # The Redis client takes 0.17 s to import, which most sessions never need here.
        from serving.state.rollout_counts import ArmCounts, CountsWriter, StratumName  # noqa: PLC0415

        # No slice is so early, and so it is among the counts of none.
        stratum = StratumName(-1, trial.generation, trial.step, trial.weight_bp)
        writer = CountsWriter(self._url, name)
        try:
            part = ArmCounts(stratum, arm, sticky=trial.sticky, requests=0, events={}, faults=1)
            await writer.add(trial.rollout, 1, [part])
        finally:
            await writer.stop()


def charged(table: RouteTable, key: VersionKey) -> tuple[Trial, int] | None:
    """The trial that a fault of this version counts in, and for which arm: 0 for the canary; None outside of trials."""
    route = table.routes.get(key.model)
    if route is None or route.trial is None:
        return None
    variants = {split.variant for split in route.splits if split.version == key.version}
    if _CANARY in variants:
        return route.trial, 0
    return (route.trial, 1) if _STABLE in variants else None
