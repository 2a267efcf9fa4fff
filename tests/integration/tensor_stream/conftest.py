"""Replicas in processes of their own and gateways that connect to them, ended with the test."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop

from serving.backends.members import StaticMembers
from serving.backends.pool_client import PoolClient
from serving.backends.pool_options import PoolOptions
from serving.state.member import Member
from tests.integration.standstill import stop
from tests.integration.tensor_stream.doubling_host import KEY, runs
from tests.integration.tensor_stream.peer import Stage

SECRET = "a secret"
ROOT = Path(__file__).parents[3]
QUICK = PoolOptions(
    silence_s=0.6,
    tick_s=0.05,
    ping_s=0.2,
    handshake_s=2.0,
    first_pause_s=0.02,
    longest_pause_s=0.2,
    refused_pause_s=0.2,
)


class ReplicaProcess:
    """One running replica; `address` is where it listens."""

    def __init__(self, folder: Path, address: str, secret: str, **options: float) -> None:
        self.journal = folder / f"journal-{time.monotonic_ns()}"
        command = [sys.executable, "-m", "tests.integration.tensor_stream.replica_main"]
        self.process = subprocess.Popen(
            [*command, address, secret, str(self.journal), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, "the replica did not start"

    @property
    def runs(self) -> list[str]:
        return runs(self.journal)

    def signal(self, which: signal.Signals) -> None:
        os.kill(self.process.pid, which)

    def stop(self) -> None:
        stop(self.process.pid)

    def drain(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("drain\n")
        self.process.stdin.flush()

    def drained(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    """The loop that gateways run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sluice-") as name:
        yield Path(name)


@pytest.fixture
def replica(folder: Path) -> Iterator[Callable[..., ReplicaProcess]]:
    """Starts a replica on a socket file, or on `address`."""
    started: list[ReplicaProcess] = []

    def start(address: str | None = None, secret: str = SECRET, **options: float) -> ReplicaProcess:
        started.append(ReplicaProcess(folder, address or f"unix:{folder}/{len(started)}.sock", secret, **options))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture
def stage(folder: Path) -> Iterator[Stage]:
    """Servers in this process, and peers that talk to them."""
    with ExitStack() as undo:
        yield Stage(folder, undo)


Connect = Callable[..., Awaitable[PoolClient]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Starts a pool client for some addresses and waits until all of them answer."""
    clients: list[PoolClient] = []

    async def start(*addresses: str, options: PoolOptions = QUICK, wait: bool = True) -> PoolClient:
        members = [Member(f"r{index}", address) for index, address in enumerate(addresses)]
        client = PoolClient("default", StaticMembers(members), SECRET.encode(), options)
        clients.append(client)
        await client.start()
        if wait:
            await until(lambda: client.slots(KEY) == len(addresses) * (options.runs_per_replica + 1))
        return client

    yield start
    for client in clients:
        await client.stop()


async def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for something that other processes bring about."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to be in time"
        await asyncio.sleep(0.005)
