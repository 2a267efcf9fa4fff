"""One member of a pool: tried again, whatever went wrong."""

from __future__ import annotations

import asyncio

import pytest

from serving.backends.pool_options import PoolOptions
from serving.backends.replica import Replica
from serving.backends.replica_connection import Opening
from serving.state.member import Member


async def test_a_defect_does_not_end_the_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    options = PoolOptions(first_pause_s=0.001, longest_pause_s=0.001)
    opening = Opening("", "gw", b"secret", options, lambda: 1.0, lambda: None, lambda: None)
    attempts = 0
    again = asyncio.Event()

    async def broken(self: Replica) -> str:
        del self
        nonlocal attempts
        attempts += 1
        if attempts == 3:
            again.set()
        raise ZeroDivisionError

    monkeypatch.setattr(Replica, "_connected", broken)
    replica = Replica(Member("r1", "unix:/nowhere"), opening, lambda _: None)
    replica.start()
    async with asyncio.timeout(2):
        await again.wait()
    await replica.stop()
    assert replica.gone
