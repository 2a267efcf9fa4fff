"""What every backend promises, kept by a Ray Serve pool: over the tensor stream, and over Ray's own handle."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from serving.backends.backend import Backend
from tests.contract.test_backends import *  # noqa: F403 - the suite's tests, run here once more
from tests.integration.ray.client import pool_client, until
from tests.integration.ray.conftest import Cluster

pytestmark = pytest.mark.slow


@pytest.fixture(params=["stream", "handle"])
async def backend(request: pytest.FixtureRequest, driver: Cluster) -> AsyncIterator[Backend]:
    """The pool in both ways, done loading."""
    if request.param == "stream":
        async with pool_client(driver, "contract") as client:
            yield client
        return
    from serving.backends.serve_handle import HandleOptions, ServeHandle

    handle = ServeHandle(HandleOptions("pool-contract", look_s=0.2))
    await handle.start()
    try:
        await until(handle.settled)
        yield handle
    finally:
        await handle.stop()
