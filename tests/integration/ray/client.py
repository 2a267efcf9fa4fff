"""A gateway's way to a pool: followed members, the tensor stream, one batch."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from serving.backends.backend import Backend
from serving.backends.pool_client import PoolClient
from serving.inference import Batch, Stacked
from serving.state.members import Members
from tests.integration.ray.conftest import DOUBLER, SECRET, Cluster


@asynccontextmanager
async def pool_client(cluster: Cluster, pool: str) -> AsyncIterator[PoolClient]:
    """A client that is connected, and stopped afterwards."""
    members = Members(cluster.control_url, [pool], None)
    members.start()
    client = PoolClient(pool, members.pool(pool), SECRET.encode())
    await client.start()
    try:
        await until(lambda: DOUBLER in client.hosted())
        yield client
    finally:
        await client.stop()
        await members.stop()


def batch(*values: float, within_s: float = 10.0) -> Batch:
    """One row of the doubler for each value."""
    data = b"".join(struct.pack("<4f", value, value, value, value) for value in values)
    inputs = (Stacked("x", "FP32", (len(values), 4), [data]),)
    return Batch(DOUBLER, inputs, len(values), time.monotonic() + within_s)


async def doubled(backend: Backend, *values: float) -> list[float]:
    """The first number of each row that comes back."""
    outputs = await backend.run(batch(*values))
    (tensor,) = outputs.tensors
    assert tensor.shape == (len(values), 4)
    return [row[0] for row in struct.iter_unpack("<4f", bytes(tensor.data))]


# Serve notices a loss, and a process starts, imports and loads, on cores that others use.
REPLACED_S = 60.0


async def until(true: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait on the loop for something to become true."""
    ends = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends, "did not happen in time"
        await asyncio.sleep(0.02)
