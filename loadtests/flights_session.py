"""The flights example as the ready scenarios want it: `python -m loadtests.flights_session --trial 3 --engine ray`.

Version 1 answers, the version under trial is loaded beside it, so is another model, `flight-trees`, the tables are in
the features store, and a pool has two replicas. Other options are those of `sluice up`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deployments.flights.sample import DATA, MODEL, MODELS
from serving.cli.demo_trials import write_configuration, write_repository
from serving.processes import running_sessions

_SLUICE = (sys.executable, "-c", "from serving.cli.main import main; main()")
TREES = "2"
# Also where this process is killed.
_ENDS_WITH_US = (sys.executable, "-m", "serving.processes.launch", str(os.getpid()))
_VIEWS = ("plane", "carrier", "route")
_READY_WITHIN_S = 120.0


def main() -> None:
    """Until Ctrl-C or SIGTERM; the exit code is that of `sluice up`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trial", type=int, default=2, choices=range(2, 7), help="2 is good, 3 bad, 4 slow, 5 shifted")
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--near-mb", type=float, default=0.0, help="keep rows of features in the workers (0: none)")
    given, more = parser.parse_known_args()
    # Also where a script started it in the background, which ignores Ctrl-C to begin with, or ends it by SIGTERM: the
    # session would outlive it, and answer whoever comes to its port next.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="flights-") as name:
        folder = Path(name)
        models, config = write_repository(folder, given.trial), _configuration(folder, given.near_mb)
        _add_trees(models)
        up = ("up", "--models", str(models), "--config", str(config), "--http-port", str(given.http_port))
        # Told by us alone, and so once: a second signal would not wait for what is open.
        with subprocess.Popen([*_ENDS_WITH_US, *_SLUICE, *up, *more], start_new_session=True) as session:  # noqa: S603 - ourselves
            try:
                _load_tables(session, config, given.http_port)
                session.wait()
            except KeyboardInterrupt:
                session.terminate()
                session.wait()
            finally:
                session.terminate()
    sys.exit(session.returncode)


def _add_trees(models: Path) -> None:
    """A model of its own for mixed loads: version 2 of the other one, by whose number its answers are known."""
    shutil.copytree(MODELS / MODEL / TREES, models / "flight-trees" / TREES)
    shutil.copy(MODELS / MODEL / "model.yaml", models / "flight-trees")


def _configuration(folder: Path, near_mb: float) -> Path:
    """A lost replica is survived by another one; half a processor each, so that two fit beside a gateway."""
    path = write_configuration(folder)
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["pools"] = {"default": {"min_replicas": 2, "max_replicas": 2, "num_cpus": 0.5, "memory_mb": 512}}
    settings["features"] = {"near_cache": {"max_mb": near_mb}}
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def _load_tables(session: subprocess.Popen[bytes], config: Path, http_port: int) -> None:
    until = time.monotonic() + _READY_WITHIN_S
    while session.poll() is None and time.monotonic() < until:
        running = running_sessions.find(http_port)
        if running is not None and running.ready:
            break
        time.sleep(0.2)
    for view in _VIEWS:
        load = ("features", "load", str(DATA / f"{view}.csv"), "--config", str(config), "--http-port", str(http_port))
        subprocess.run([*_SLUICE, *load], check=True)  # noqa: S603 - ourselves


if __name__ == "__main__":
    main()
