"""`python -m tests.unit.pool.coming_and_going MODEL...`: hosts each and lets it go, and tells its MB then."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import psutil

from serving.inference import VersionKey
from serving.pool.host_process import HostProcess
from serving.pool.pool_spec import PoolSpec
from serving.runtime.source import ModelSource


def main(models: list[Path]) -> None:
    """Each on a new thread, as Ray calls it; it lives on, since one that ends leaves its arena to the next."""
    process = HostProcess(PoolSpec("default", (), stream=False), "r")
    process.host_these([])
    over = threading.Event()
    for model in models:
        done = threading.Event()
        threading.Thread(target=_once, args=(process, model, done, over), daemon=True).start()
        done.wait()
        sys.stdout.write(f"{psutil.Process().memory_info().rss / 1e6}\n")
    over.set()


def _once(process: HostProcess, model: Path, done: threading.Event, over: threading.Event) -> None:
    process.host_these([ModelSource(VersionKey("model", 1), model)])
    process.host_these([])
    done.set()
    over.wait()


if __name__ == "__main__":
    main([Path(path) for path in sys.argv[1:]])
