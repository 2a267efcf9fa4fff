"""Servers of other people with the models of `served`, each in its own environment; where they answer once they do."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.clients.environments import environment
from tests.e2e.peers.served.arithmetic import MODELS
from tests.e2e.sluice_up import ROOT
from tests.e2e.sluice_up import environment as variables

_READY_WITHIN_S = 60.0
_ENDS_WITHIN_S = 15.0
_SERVED = "tests.e2e.peers.served"

Command = list[str | Path]


def _mlserver(folder: Path, port: int) -> Command:
    here = environment("mlserver") / "bin"
    # Named by its module, so that MLServer finds the runtime by the same name.
    code = (
        f"from {_SERVED}.mlserver_models import write; from pathlib import Path; write(Path({str(folder)!r}), {port})"
    )
    subprocess.run([here / "python", "-c", code], check=True, env=variables(), cwd=ROOT)
    return [here / "mlserver", "start", folder]


def _kserve(folder: Path, port: int) -> Command:
    return [environment("kserve") / "bin" / "python", "-m", f"{_SERVED}.kserve_models", str(port)]


PEERS: Mapping[str, Callable[[Path, int], Command]] = {"mlserver": _mlserver, "kserve": _kserve}


@contextmanager
def running_peer(name: str, folder: Path, port: int) -> Iterator[str]:
    """The peer's address, once every model is ready."""
    log = folder.with_suffix(".log")
    with log.open("wb") as written:
        process = subprocess.Popen(
            PEERS[name](folder, port), cwd=ROOT, env=variables(), stdout=written, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        ends = time.monotonic() + _READY_WITHIN_S
        while not all(_ready(url, model) for model in MODELS):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(url: str, model: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v2/models/{model}/ready", timeout=2):
            return True
    except OSError:
        return False
