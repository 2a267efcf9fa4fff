"""A replica of which nobody said how many batches it is to run at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from serving.backends.members import StaticMembers
from serving.backends.pool_client import PoolClient
from serving.backends.pool_options import PoolOptions
from serving.inference import VersionKey
from serving.pool.host_process import HostProcess
from serving.pool.pool_spec import PoolSpec
from serving.runtime.source import ModelSource
from serving.state.member import Member
from serving.testing.models import doubler, save
from tests.integration.tensor_stream.conftest import until

KEY = VersionKey("doubler", 1)


async def test_a_replica_finds_its_slots_and_tells_them(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s" * 32)
    secret.chmod(0o600)
    source = ModelSource(KEY, save(tmp_path, "doubler", 1, doubler()))
    spec = PoolSpec("default", (), secret_path=str(secret), slots=0, num_cpus=2)
    process = HostProcess(spec, "r")
    await asyncio.to_thread(process.host_these, [source])
    try:
        found = process.host.slots_worth(1)
        address = process.member().address
        members = StaticMembers([Member("r", address)])
        client = PoolClient("default", members, b"s" * 32, PoolOptions(runs_per_replica=0))
        await client.start()
        await until(lambda: client.slots(KEY) > 0)
        (seen,) = client.replicas()
        # How many pay is a matter of this machine.
        assert seen.slots in (1, 2)
        assert client.servers(KEY) == seen.slots
        assert found == 1
        await client.stop()
    finally:
        await asyncio.to_thread(process.leave)
