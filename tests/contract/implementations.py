"""Every implementation of `Backend`, opened for a set of versions; a new one is added to the table at the end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path

from serving.backends.backend import Backend
from serving.backends.in_process import InProcess
from serving.backends.members import StaticMembers
from serving.backends.pool_client import PoolClient
from serving.pool.model_host import ModelHost
from serving.pool.wire_server import WireServer
from serving.runtime.loaded_model import LoadedModel, ModelSource
from serving.state.member import Member


class Lasting:
    """What is started once for all tests, since it takes long: replicas' processes, a cluster."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self.folder = folder
        self._undo = undo
        self._kept: dict[str, list[str]] = {}

    def start(self, name: str, begin: Callable[[], list[str]], end: Callable[[], None]) -> list[str]:
        """What `begin` told when it was called first; `end` is called after the last test."""
        if name not in self._kept:
            self._undo.callback(end)
            self._kept[name] = begin()
        return self._kept[name]


Open = Callable[[Sequence[ModelSource], Lasting], AbstractAsyncContextManager[Backend]]

SECRET = b"contract"
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def in_process(sources: Sequence[ModelSource], lasting: Lasting) -> AsyncIterator[Backend]:
    """The gateway's own process."""
    async with _started(InProcess(sources)) as backend:
        yield backend


@asynccontextmanager
async def pool_in_a_thread(sources: Sequence[ModelSource], lasting: Lasting) -> AsyncIterator[Backend]:
    """The tensor stream over a socket file, its server in the process of the loop, as in a Ray Serve replica."""
    host = ModelHost(LoadedModel.open)
    await asyncio.to_thread(host.load, sources)
    server = WireServer(host, SECRET, [f"unix:{lasting.folder}/sockets/replica"])
    server.start()
    try:
        async with _connected(server.addresses[0]) as backend:
            yield backend
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def pool_in_two_processes(sources: Sequence[ModelSource], lasting: Lasting) -> AsyncIterator[Backend]:
    """The tensor stream over TCP to two replicas in processes of their own."""
    replicas: list[subprocess.Popen[str]] = []

    def begin() -> list[str]:
        told = json.dumps([[*source.key, str(source.path)] for source in sources])
        command = [sys.executable, "-m", "tests.contract.replica_main", SECRET.decode(), told]
        for _ in range(2):
            pipe = subprocess.PIPE
            replicas.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT))
        return [replica.stdout.readline().strip() for replica in replicas if replica.stdout is not None]

    def end() -> None:
        for replica in replicas:
            replica.kill()
            replica.communicate()

    async with _connected(*lasting.start("replicas", begin, end)) as backend:
        yield backend


@asynccontextmanager
async def _connected(*addresses: str) -> AsyncIterator[Backend]:
    members = [Member(f"replica {index}", address) for index, address in enumerate(addresses)]
    async with _started(PoolClient("contract", StaticMembers(members), SECRET)) as backend:
        yield backend


@asynccontextmanager
async def _started(backend: Backend) -> AsyncIterator[Backend]:
    settled = asyncio.Event()
    backend.on_change(lambda _: settled.set() if backend.settled() else None)
    await backend.start()
    try:
        async with asyncio.timeout(60):
            await settled.wait()
        yield backend
    finally:
        await backend.stop()


IMPLEMENTATIONS: dict[str, Open] = {
    "in process": in_process,
    "pool, server in a thread": pool_in_a_thread,
    "pool, two replicas": pool_in_two_processes,
}
