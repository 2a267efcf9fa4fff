"""`make test`: every test, in lanes side by side.

What starts whole sessions waits more than it computes, so two lanes share that, and what only computes runs beside them
in the time that they leave. A lane whose process is ended by a test (it hung, or crashed the interpreter) has failed,
and goes on with its others.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lanes.running_lane import Lane, RunningLane

WHOLE = ("tests/e2e", "tests/integration", "tests/contract")
COMPUTING = ("tests/architecture", "tests/unit")
# What is compiled is tried once more as plain Python.
COMPILED = (
    "backends",
    "batching",
    "compiled",
    "edge",
    "features",
    "pool",
    "request_path",
    "runtime",
    "telemetry",
    "wire",
)
PLAIN = (*(f"tests/unit/{name}" for name in COMPILED), "tests/unit/test_deadline.py")

_ASIDE = 10
_LOOK_S = 0.5

LANES = (
    Lane("whole-1", WHOLE),
    Lane("whole-2", WHOLE),
    Lane("units", COMPUTING, _ASIDE),
    Lane("plain", PLAIN, _ASIDE, {"SLUICE_PURE_PYTHON": "1"}),
)


def main(lanes: Sequence[Lane] = LANES) -> int:
    """Run all of them; what a lane that failed printed is shown in full. 0 where every test passed."""
    with tempfile.TemporaryDirectory(prefix="sluice-tests-") as folder:
        sets = list(dict.fromkeys(lane.tests for lane in lanes))
        claimed = {tests: Path(folder, str(number)) for number, tests in enumerate(sets)}
        for path in claimed.values():
            path.mkdir()
        running = [RunningLane(lane, claimed[lane.tests]) for lane in lanes]
        try:
            while any(lane.code is None for lane in running):
                time.sleep(_LOOK_S)
                for lane in running:
                    lane.look()
        finally:
            for lane in running:
                lane.end()
        return _summed_up(running)


def _summed_up(running: Sequence[RunningLane]) -> int:
    for lane in running:
        if lane.code:
            sys.stdout.write(f"\n=== {lane.name} failed; what it printed:\n{lane.output()}\n")
    sys.stdout.write("\n")
    for lane in running:
        sys.stdout.write(f"{lane.name:8} {'FAILED' if lane.code else 'passed'}  {lane.count()}\n")
    return int(any(lane.code for lane in running))


if __name__ == "__main__":
    sys.exit(main())
