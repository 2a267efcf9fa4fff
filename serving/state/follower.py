"""Follows a channel of the control Redis: look at once when it speaks, and every second in case it was not heard."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import redis.asyncio
from redis.asyncio.client import PubSub

from serving.state.connection import OPERATION_S, UNREACHABLE

log = logging.getLogger(__name__)

POLL_S = 1.0
FIRST_PAUSE_S = 0.1
CANCEL_AGAIN_S = 0.5


class Follower:
    """Owns one task that calls `look` again and again and outlives every state the server can be in.

    `look` reads what it follows; what it raises because the server is unreachable ends only that attempt. Its own
    mistakes are logged and end only that attempt too: a record nobody can read must not end the following.
    """

    def __init__(self, client: redis.asyncio.Redis, pattern: str, look: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._pattern = pattern
        self._look = look
        self._task: asyncio.Task[None] | None = None
        self._lost = False
        self._pause_s = FIRST_PAUSE_S

    def start(self) -> None:
        """Begin; the first look follows as soon as the server answers."""
        self._task = asyncio.get_running_loop().create_task(self._follow(), name=f"follow {self._pattern}")

    async def stop(self) -> None:
        """End the task; the client stays open."""
        if self._task is None:
            return
        # More than once: redis-py sends with Python 3.11's `asyncio.wait_for`, which may take a cancellation for the
        # end of what it waits for.
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=CANCEL_AGAIN_S)
        self._task = None

    async def _follow(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as channel:
                    async with asyncio.timeout(OPERATION_S):
                        await channel.psubscribe(self._pattern)
                    await self._look_on(channel)
            except UNREACHABLE as error:
                self._say_lost(error)
            except Exception:
                log.exception("following %s failed and goes on", self._pattern)
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, POLL_S)

    async def _look_on(self, channel: PubSub) -> None:
        while True:
            # A stopped server accepts no answer: the bound of this look is what notices it.
            await self._look()
            self._say_found()
            await channel.get_message(timeout=POLL_S)
            # One look answers for all that was said meanwhile.
            with contextlib.suppress(TimeoutError):
                while await channel.get_message(timeout=0.0) is not None:
                    pass

    def _say_lost(self, error: BaseException) -> None:
        if not self._lost:
            self._lost = True
            log.warning(
                "the control Redis is away (%s); going on with what is known", f"{type(error).__name__}: {error}"
            )

    def _say_found(self) -> None:
        self._pause_s = FIRST_PAUSE_S
        if self._lost:
            self._lost = False
            log.info("the control Redis is back")
