"""The end of tasks for whose outcome nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Collection


async def end_all(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel them, and return when all have ended: a loop that is closed under a task says so on standard error."""
    left = list(tasks)
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
