"""The follower's task ends when it is told to, whatever its libraries do with a cancellation."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from serving.state.follower import Follower


class _Channel:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        pass

    async def psubscribe(self, pattern: str) -> None:
        pass

    async def get_message(self, timeout: float) -> None:  # noqa: ASYNC109 - redis-py's signature
        await asyncio.sleep(timeout)


class _Client:
    pubsub = _Channel


async def test_a_cancellation_that_is_lost_in_a_look_does_not_keep_it_from_stopping() -> None:
    looking = asyncio.Event()
    client: Any = _Client()

    async def look() -> None:
        if looking.is_set():
            return
        looking.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            # As `asyncio.wait_for` of Python 3.11 does when what it waits for has just ended.
            return

    follower = Follower(client, "any", look)
    follower.start()
    await looking.wait()
    async with asyncio.timeout(10):
        await follower.stop()
