"""Gateway workers are replaced under calls over gRPC, and a client that never retries notices nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from grpc import aio

from tests.e2e.conftest import Start
from tests.e2e.doubling import save_models
from tests.e2e.grpc_client import arrays_of, infer_on, raw_request
from tests.e2e.parts import WORKER, parts, until
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.test_rolling_restart import restart

CALLERS = 8
# It has no policy that would have it retry. What never left it when it was told to go elsewhere it sends there without
# one, unless `grpc.enable_retries` is off: then it fails calls that no server has seen.
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_rolling_restart_fails_no_call_of_a_client_that_never_retries(
    tmp_path: Path, start: Start, workers: int
) -> None:
    session = start("--models", save_models(tmp_path), "--workers", str(workers))
    before = {worker.pid for worker in parts(session, WORKER)}
    asked = asyncio.run(_restarted_under_calls(session))
    assert asked > 100
    until(lambda: len(parts(session, WORKER)) == workers, "the predecessors end")
    assert not before & {worker.pid for worker in parts(session, WORKER)}


async def _restarted_under_calls(session: SluiceUp) -> int:
    """How many calls were right; one that fails or is wrong raises."""
    over = asyncio.Event()
    callers = [asyncio.create_task(_ask_until(session.grpc_port, over, number)) for number in range(CALLERS)]
    await asyncio.sleep(0.5)
    await asyncio.to_thread(restart, session)
    await asyncio.sleep(0.5)
    over.set()
    return sum(await asyncio.gather(*callers))


async def _ask_until(port: int, over: asyncio.Event, number: int) -> int:
    count = 0
    async with aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
        infer = infer_on(channel)
        while not over.is_set():
            count += 1
            row = np.array([[number, count, 2, 3]], np.float32)
            answer = await infer(raw_request("doubler", {"x": row}), timeout=10)
            (only,) = arrays_of(answer).values()
            np.testing.assert_array_equal(only, row * 2)
            # Some are always in flight, and some come upon a connection that has been quiet for a while.
            await asyncio.sleep(0.002 * number**2)
    return count
