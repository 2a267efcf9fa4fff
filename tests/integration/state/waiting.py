"""Waiting for what another process or task will do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(true: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait on the loop for something to become true."""
    ends = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends, "did not happen in time"
        await asyncio.sleep(0.02)
