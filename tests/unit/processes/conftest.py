"""For tests of processes that a supervisor keeps, without any process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from serving.processes.control_channel import ControlChannel


@pytest.fixture
async def channels_closed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Those who keep parts are stopped in the end, and what they opened is closed."""
    opened: list[ControlChannel] = []
    attach = ControlChannel.open

    async def open_it(self: ControlChannel) -> None:
        opened.append(self)
        await attach(self)

    monkeypatch.setattr(ControlChannel, "open", open_it)
    monkeypatch.setattr("serving.processes.engine_process.end_members", lambda *_, **__: 0)
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    for channel in opened:
        channel.close()
    await asyncio.sleep(0)
