"""How each server under test is started with the suite's models, and where it answers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.conformance.environments import HERE, python_of, version_of
from benchmarks.conformance.facts import facts, write_mlserver_settings

PEERS = HERE / "peers"
_READY_S, _ENDS_S = 90, 30
# Neither has BF16: not in MLServer's list of datatypes, nor in KServe's table of NumPy types.
_WITHOUT = frozenset({"BF16"})


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is ready; `token` is none where it asks for none."""

    url: str
    grpc: str
    version: str
    token: str = "none"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server finds its models, has files of its own, and answers."""

    repository: Path
    folder: Path
    environments: Path
    http_port: int
    grpc_port: int

    def running(self, version: str, token: str = "none") -> Running:
        """The server there, once it is ready."""
        return Running(f"http://127.0.0.1:{self.http_port}", f"127.0.0.1:{self.grpc_port}", version, token)


@contextlib.contextmanager
def sluice(place: Place) -> Iterator[Running]:
    """This project's, with models in the gateway and the repository API open to who has the token."""
    run = place.folder / "run"
    run.mkdir(mode=0o700)
    program = [sys.executable, "-c", "from serving.cli.main import main; main()"]
    ports = ["--http-port", str(place.http_port), "--grpc-port", str(place.grpc_port)]
    others = ["--metrics-port", "0", "--control-port", "0", "--engine", "in-process"]
    environment = {"SLUICE_HTTP__REPOSITORY_API": "token", "XDG_RUNTIME_DIR": str(run)}
    with _process([*program, "up", "--models", str(place.repository), *ports, *others], place, environment):
        _wait(place)
        session = json.loads(next(run.glob("sluice/*.json")).read_text())
        token = Path(session["token_file"]).read_text().strip()
        yield place.running(version_of(Path(sys.executable), "sluice-gateway"), token)


@contextlib.contextmanager
def mlserver(place: Place) -> Iterator[Running]:
    """MLServer with a custom runtime of ONNX files."""
    python = python_of("mlserver", place.environments)
    write_mlserver_settings(place.folder, place.repository, place.http_port, place.grpc_port)
    with _process([str(python.parent / "mlserver"), "start", str(place.folder)], place, {"PYTHONPATH": str(PEERS)}):
        _wait(place)
        yield place.running(version_of(python, "mlserver"))


@contextlib.contextmanager
def kserve(place: Place) -> Iterator[Running]:
    """KServe's Python server with a custom model of ONNX files."""
    python = python_of("kserve", place.environments)
    told = place.folder / "facts.json"
    told.write_text(json.dumps(facts(place.repository, _WITHOUT)))
    ports = ["--http-port", str(place.http_port), "--grpc-port", str(place.grpc_port)]
    with _process([str(python), str(PEERS / "kserve_server.py"), str(told), *ports], place, {}):
        _wait(place)
        yield place.running(version_of(python, "kserve"))


SERVERS: dict[str, Callable[[Place], contextlib.AbstractContextManager[Running]]] = {
    "sluice": sluice,
    "mlserver": mlserver,
    "kserve": kserve,
}


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _process(command: list[str], place: Place, more: dict[str, str]) -> Iterator[None]:
    with (place.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=place.folder, env={**os.environ, **more}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(place: Place) -> None:
    ends = time.monotonic() + _READY_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{place.http_port}/v2/health/ready", timeout=2):
                return
        except OSError:
            if time.monotonic() > ends:
                raise RuntimeError((place.folder / "log").read_text()[-3000:]) from None
            time.sleep(0.3)
