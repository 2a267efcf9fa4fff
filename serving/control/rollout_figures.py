"""Tells the session what Prometheus is to see of rollouts: all of it every few seconds, so that nothing is left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from math import isfinite

from serving.control.session import AskSession
from serving.errors import ServingError
from serving.rollouts import bridge, rollout
from serving.rollouts.rollout import Rollout
from serving.rollouts.series import Value, series_of
from serving.rollouts.view import view
from serving.state.rollout_store import RolloutStore
from serving.telemetry.catalogue import ROLLOUTS_FROZEN
from serving.telemetry.snapshot import Series

log = logging.getLogger(__name__)

TELL_EVERY_S = 5.0
# A scraper has come by then, also one that comes once a minute and was away for a few.
_AFTER_END_S = 600.0
# About 70 series each.
_MOST_ROLLOUTS = 50


class RolloutFigures:
    """`now` is the time of day in seconds; each control app tells its own session, whoever judges."""

    def __init__(self, store: RolloutStore, session: AskSession, now: Callable[[], float]) -> None:
        self._store = store
        self._session = session
        self._now = now

    async def keep_telling(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.tell()
            except ServingError as error:
                log.debug("figures of rollouts are not told: %s", error.message)
            except Exception:
                # A defect of one telling must not end all that follow.
                log.exception("figures of rollouts could not be made")
            await asyncio.sleep(TELL_EVERY_S)

    async def tell(self) -> None:
        """Once.

        Raises:
            ServingError: the store or the session does not answer.
        """
        gauges = await asyncio.to_thread(self._gauges)
        # JSON knows no infinity, which is what a bound is where there is none.
        told = [[*series, value if isfinite(value) else None] for series, value in gauges]
        await self._session("rollout_series", gauges=told)

    def _gauges(self) -> list[Value]:
        shown = [held for held in rollout.load_all(self._store.all()) if self._shows(held)]
        shown.sort(key=lambda held: (held.over, -held.started_s))
        gauges = [(Series(ROLLOUTS_FROZEN.name, ()), float(self._store.frozen()))]
        for held in islice(shown, _MOST_ROLLOUTS):
            seen = view(held, self._store.counts(held.id, held.folded), self._store.late(held.id))
            gauges += series_of(seen, bridge.outcome(held))
        return gauges

    def _shows(self, held: Rollout) -> bool:
        ended_s = held.standing.since_s if held.standing is not None and held.over else self._now()
        return self._now() - ended_s < _AFTER_END_S
