"""Alerts of a machine that runs out: a session that sees a memory and a disk of its own, and features in a cluster."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from serving.testing.load_client import Load, Question, running
from serving.testing.models import FLOAT, doubler, echo, save
from tests.e2e.provocation import Provocation, repeated
from tests.e2e.sluice_up import SluiceUp
from tests.integration.redis_process import RedisCluster

UNSHARE = shutil.which("unshare")
COLUMNS = ("a", "b", "c", "d")
# As many numbers as a worker still decodes itself, some 300 KB of JSON.
WIDE = 30_000
CALLERS = 32
ALERTS = ("SluiceFeatureNodeLeft", "SluiceMemoryLow", "SluiceServedLogDrops", "SluiceLoopBusy")
MEMINFO = Path("/proc/meminfo")
# Mounts that this session alone sees: a file that it takes for the kernel's, and a small disk.
_CONFINED = 'mount --bind "$1" /proc/meminfo && mount -t tmpfs -o size=256k none "$2" && shift 2 && exec "$@"'


def possible() -> bool:
    """Whether this user may mount something that others do not see."""
    return (
        UNSHARE is not None and subprocess.run([*_private(), "true"], check=False, capture_output=True).returncode == 0
    )


def _private() -> list[str]:
    mine = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [str(UNSHARE), *mine, "--mount"]


@dataclass(frozen=True, slots=True)
class Confined:
    """`folder` holds what it is made of; `cluster` its features."""

    folder: Path
    cluster: RedisCluster

    @property
    def disk(self) -> Path:
        """Where its served-feature log is, as it sees it."""
        return self.folder / "disk"

    @property
    def memory(self) -> Path:
        """What it takes for /proc/meminfo."""
        return self.folder / "meminfo"

    def start(self) -> SluiceUp:
        """A session of its own, not yet ready."""
        self.disk.mkdir()
        self.memory.write_bytes(MEMINFO.read_bytes())
        save(self.folder / "models", "doubler", 1, doubler())
        save(self.folder / "models", "wide", 1, echo(FLOAT, WIDE))
        config = self.folder / "sluice.yaml"
        # JSON is YAML.
        config.write_text(json.dumps(self._settings()))
        return _Apart(self, "--models", str(self.folder / "models"), "--config", str(config))

    def _settings(self) -> dict[str, object]:
        log = {"folder": str(self.disk / "log"), "sample": 1.0, "rotate": "1s", "max_files_mb": 0.05}
        view = {"entity": ["id"], "features": {name: {"default": 1.0} for name in COLUMNS}}
        return {
            "state": {"features_url": self.cluster.url},
            "features": {"near_cache": {"max_mb": 0}, "served_log": log},
            "feature_views": {"row": view},
            "models": {
                "doubler": {"inputs": [{"name": "x", "features": [f"row.{name}" for name in COLUMNS]}]},
                "wide": {"batching": {"max_rows": 1}},
            },
        }

    def provocations(self) -> tuple[Provocation, ...]:
        """One for each of `ALERTS`."""
        told = (
            ("SIGSTOP to one of three nodes of a cluster", self._node_left),
            ("in the session's own mounts /proc/meminfo says that 5 % are left", self._no_memory),
            ("the log's disk, a tmpfs of 256 KiB, is filled", self._disk_full),
            (f"{CALLERS} callers at once send rows of 30,000 numbers in JSON", _large_bodies),
        )
        return tuple(Provocation((name,), how, done) for name, (how, done) in zip(ALERTS, told, strict=True))

    @contextmanager
    def _node_left(self, _session: SluiceUp) -> Iterator[None]:
        node = self.cluster.masters[1]
        node.stop()
        try:
            yield
        finally:
            node.go_on()

    @contextmanager
    def _no_memory(self, _session: SluiceUp) -> Iterator[None]:
        said = self.memory.read_text()
        total = int(re.findall(r"MemTotal: +(\d+)", said)[0])
        left = re.sub(r"(MemAvailable: +)\d+", rf"\g<1>{total // 20}", said)
        # In place, as the mount is of this very file.
        self.memory.write_text(left)
        try:
            yield
        finally:
            self.memory.write_text(said)

    @contextmanager
    def _disk_full(self, session: SluiceUp) -> Iterator[None]:
        # The session's processes have the mount, this one has not.
        ballast = Path("/proc", str(session.pid), "root", *self.disk.parts[1:], "ballast")
        with ballast.open("wb", buffering=0) as file, repeated(lambda: _fill(file)):
            yield
        ballast.unlink()


def _fill(file: FileIO) -> None:
    # Also what is given up meanwhile.
    with suppress(OSError):
        while file.write(bytes(1024)):
            pass


class _Apart(SluiceUp):
    def __init__(self, place: Confined, *arguments: str) -> None:
        self.through = (*_private(), "sh", "-c", _CONFINED, "sh", str(place.memory), str(place.disk))
        super().__init__(*arguments)


@contextmanager
def asked(session: SluiceUp) -> Iterator[None]:
    """Ids of every node, 30 times a second."""
    with running(Load(session.port, _by_id, most=10_000_000, for_s=3_600, rate=30.0, callers=8)):
        yield


def _by_id(number: int) -> Question:
    body = json.dumps({"instances": [{"id": number % 300}]}).encode()
    return Question("/v1/models/doubler:predict", body, _any)


@contextmanager
def _large_bodies(session: SluiceUp) -> Iterator[None]:
    tensor = {"name": "x", "shape": [1, WIDE], "datatype": "FP32", "data": [0.12345678] * WIDE}
    question = Question("/v2/models/wide/infer", json.dumps({"inputs": [tensor]}).encode(), _any)
    with running(Load(session.port, lambda _number: question, most=10_000_000, for_s=3_600, callers=CALLERS)):
        yield


def _any(_body: bytes) -> bool:
    return True
