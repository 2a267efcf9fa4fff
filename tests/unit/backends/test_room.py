"""Whoever waits for a replica is woken by every change, and told when the time is up."""

from __future__ import annotations

import asyncio

import pytest

from serving.backends.room import Room
from serving.errors import Overloaded


async def test_everybody_who_waits_is_woken() -> None:
    room = Room(lambda: 0.0)
    waiting = [asyncio.create_task(room.wait(60.0)) for _ in range(3)]
    await asyncio.sleep(0)
    room.wake()
    await asyncio.gather(*waiting)


async def test_a_batch_whose_time_is_up_is_overload() -> None:
    with pytest.raises(Overloaded, match="until the batch's time was up"):
        await Room(lambda: 10.0).wait(9.0)


async def test_who_leaves_does_not_strand_the_others() -> None:
    room = Room(lambda: 0.0)
    leaving, staying = (asyncio.create_task(room.wait(60.0)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    room.wake()
    await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving
