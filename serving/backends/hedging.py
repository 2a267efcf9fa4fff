"""A second attempt for batches whose replica is late, within a budget (Dean and Barroso, The tail at scale, 2013)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from serving.errors import NotReady, Overloaded, ReplicaLost
from serving.inference import Outputs

# So many attempts may follow each other when the budget was not needed for a while.
_MOST_SAVED = 10.0

Attempt = Callable[[], Coroutine[Any, Any, Outputs]]


class HedgeBudget:
    """Each batch earns a share of a second attempt; a pool that is slow as a whole is not asked everything twice."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = 1.0

    def earn(self) -> None:
        """A batch was sent."""
        self._saved = min(self._saved + self._share, _MOST_SAVED)

    def spend(self) -> bool:
        """Whether one more second attempt may be made; it counts as made."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True


async def hedged(first: Attempt, second: Callable[[], Attempt | None], after_s: float) -> Outputs:
    """The outputs of whichever attempt answers first; the second is made, if there is one, once `after_s` have passed.

    A failure of one attempt that the other need not share is waited out; a model's own, and a crash of which its rows
    are suspected, are raised at once.
    """
    tasks = {asyncio.create_task(first())}
    try:
        done, waiting = await asyncio.wait(tasks, timeout=after_s)
        if not done:
            attempt = second()
            if attempt is not None:
                tasks.add(asyncio.create_task(attempt()))
            done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        while waiting and all(_may_be_its_own(task.exception()) for task in done):
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        # Both may end in the same turn of the loop, and one of them well.
        return min(done, key=_failed).result()
    finally:
        await _end(tasks)


def _failed(task: asyncio.Task[Outputs]) -> bool:
    return task.exception() is not None


def _may_be_its_own(error: BaseException | None) -> bool:
    """Whether another replica may do better: the error is about this one, and not about the rows."""
    if isinstance(error, ReplicaLost):
        return not error.started
    return isinstance(error, (NotReady, Overloaded))


async def _end(tasks: set[asyncio.Task[Outputs]]) -> None:
    """Call back what goes on; whatever it still says concerns nobody."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
    for task in tasks:
        if not task.cancelled():
            task.exception()
