"""Work that several want at once is done once for all of them, and for nobody with what was known before they asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class SharedRound(Generic[Found]):
    """Runs one round at a time: who asks during a round shares the next one with all others who do."""

    def __init__(self, work: Callable[[], Awaitable[Found]]) -> None:
        self._work = work
        self._running: asyncio.Task[Found] | None = None
        self._next: asyncio.Task[Found] | None = None

    async def __call__(self) -> Found:
        """What a round found that began after this call."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._round(self._running))
        # One who gives up leaves the round to the others.
        return await asyncio.shield(self._next)

    async def _round(self, earlier: asyncio.Task[Found] | None) -> Found:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._running, self._next = self._next, None
        return await self._work()
