"""A server of known behaviour in a process of its own, and scenarios that ask it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loadtests.scenario.scenario import Scenario


@contextmanager
def stub(**behaviour: float) -> Iterator[str]:
    """Its address."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in behaviour.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.stub.server", *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def asking(target: str, folder: Path, rate: float, seconds: float, **more: Any) -> Scenario:
    """A scenario of one stage, whose answers are all compared."""
    (folder / "payload.jsonl").write_text('{"path": "/", "body": {"x": 1}, "answer": {"y": 1}}\n')
    return Scenario.model_validate(
        {
            "name": "stub",
            "target": target,
            "users": [{"name": "one", "payload": "payload.jsonl", "check": 1.0}],
            "shape": [{"name": "load", "for_s": seconds, "rate": rate}],
            "gates": {"p99_ms": 100.0},
            **more,
        }
    )
