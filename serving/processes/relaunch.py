"""Starting a part again that has ended, also where the system has no room for a process at the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from serving.processes.backoff import delay_s
from serving.processes.events import Emit, Event

Part = TypeVar("Part")


async def relaunched(launch: Callable[[], Awaitable[Part]], part: str, strikes: int, emit: Emit) -> Part:
    """What `launch` gives; a launch that fails (processes, memory, descriptors) is told and tried until it succeeds.

    `strikes` are the crashes in a row that brought it here; each failure is one more, and the waits grow with them.
    """
    while True:
        try:
            return await launch()
        except OSError as error:
            strikes = max(strikes, 1) + 1
            wait_s = delay_s(strikes)
            text = f"{part} could not be started ({error.strerror or error}); it is tried again in {wait_s:g} s"
            emit(Event("restarting", part, text, {"wait_s": wait_s}))
            await asyncio.sleep(wait_s)
