"""Has the replicas started that a canary is to have for itself, beside the looks: they take longer than a look may."""

from __future__ import annotations

import asyncio
import logging

from serving.errors import ModelUnservable, ServingError
from serving.rollouts.rollout import Rollout
from serving.rollouts.session import Session

log = logging.getLogger(__name__)


class OwnReplicas:
    """Owns one task for each rollout whose replicas are being started; a successor has it done anew."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._starting: dict[str, asyncio.Task[str]] = {}
        # Of rollouts that are over: called back in the middle, the session would have half of it.
        self._ending: set[asyncio.Task[str]] = set()

    def started(self, held: Rollout, number: int) -> str:
        """Have its own replicas started, unless that is under way; why there will be none, "" where there may be."""
        task = self._starting.get(held.id)
        if task is not None and not task.done():
            return ""
        refused = "" if task is None or task.cancelled() else task.result()
        # Refused, a rollout that is measured ends; one that has begun goes on beside the stable version.
        if not refused or held.standing is not None:
            self._starting[held.id] = asyncio.create_task(self._set_apart(held, number), name=f"place {held.id}")
        return refused

    def forget(self, rollout_id: str) -> None:
        """It is over; the session lets go of replicas that are ready only now."""
        task = self._starting.pop(rollout_id, None)
        if task is not None and not task.done():
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """Wait for none of them any more."""
        tasks = [*self._starting.values(), *self._ending]
        self._starting.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _set_apart(self, held: Rollout, number: int) -> str:
        own = {name: value for name, value in (held.own or {}).items() if name != "pool"}
        try:
            await self._session("set_apart", model=held.model, canary=held.canary, own=own, fence=number)
        except ModelUnservable as error:
            return error.message
        except ServingError as error:
            # Tried again with the next look, if it is wanted then.
            log.warning("rollout %s has no replicas of its own yet: %s", held.id, error.message)
        except Exception:
            # Asked for its result, the task would end each look that follows.
            log.exception("replicas of its own for rollout %s could not be asked for", held.id)
        return ""
