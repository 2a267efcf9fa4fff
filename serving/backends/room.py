"""Batches that wait until some replica may be given one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serving.errors import Overloaded


class Room:
    """Everybody who waits is woken at each change and looks again: waiting is rare and short."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[asyncio.Future[None], None] = {}

    def wake(self) -> None:
        """Something may have changed."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def wait(self, expires_at: float) -> None:
        """Return at the next change.

        Raises:
            Overloaded: `expires_at` came first.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting[future] = None
        try:
            async with asyncio.timeout(max(0.0, expires_at - self._clock())):
                await future
        except TimeoutError as error:
            raise Overloaded("every replica was busy or slow to read until the batch's time was up") from error
        finally:
            self._waiting.pop(future, None)
