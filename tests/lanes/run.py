"""`make test`: every test, in lanes side by side.

What starts whole sessions waits more than it computes, so two lanes share that, and what only computes runs beside
them in the time that they leave; when some of that is through, a third lane helps these two. A lane whose process is
ended by a test (it hung, or crashed the interpreter) has failed, and goes on with its others.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lanes.running_lane import Lane, RunningLane

# What is said of latencies and rates when nothing is wrong is about a machine that has nothing else to do.
ALONE = (
    "tests/e2e/test_alerts.py",
    "tests/e2e/test_rollouts_judged.py",
    "tests/integration/loadtests/test_locust.py",
    "tests/integration/loadtests/test_locust_ui.py",
    "tests/integration/loadtests/test_truth.py",
)
WHOLE = ("tests/e2e", "tests/integration", "tests/contract", *(f"--ignore={file}" for file in ALONE))
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

# Before what Sluice itself puts behind, which is at 5.
_ASIDE = 4
_LOOK_S = 0.5

TURNS = (
    (
        Lane("whole-1", WHOLE),
        Lane("whole-2", WHOLE),
        Lane("units", COMPUTING, _ASIDE),
        Lane("plain", PLAIN, _ASIDE, {"SLUICE_PURE_PYTHON": "1"}),
        Lane("whole-3", WHOLE, after="plain"),
    ),
    (Lane("alone", ALONE),),
)


def main(turns: Sequence[Sequence[Lane]] = TURNS) -> int:
    """Run all of them; what a lane that failed printed is shown in full. 0 where every test passed."""
    with tempfile.TemporaryDirectory(prefix="sluice-tests-") as folder:
        return _summed_up([lane for lanes in turns for lane in _side_by_side(lanes, Path(folder))])


def _side_by_side(lanes: Sequence[Lane], folder: Path) -> list[RunningLane]:
    claimed = {tests: Path(tempfile.mkdtemp(dir=folder)) for tests in {lane.tests for lane in lanes}}
    waiting = list(lanes)
    running: list[RunningLane] = []
    try:
        while waiting or any(lane.code is None for lane in running):
            under_way = {lane.name for lane in waiting} | {lane.name for lane in running if lane.code is None}
            running += [RunningLane(lane, claimed[lane.tests]) for lane in waiting if lane.after not in under_way]
            waiting = [lane for lane in waiting if lane.after in under_way]
            time.sleep(_LOOK_S)
            for lane in running:
                lane.look()
    finally:
        for lane in running:
            lane.end()
    return running


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
