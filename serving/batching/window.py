"""How many rows the next batch takes, and whether it is worth waiting for more."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from serving.batching.latency_model import Estimate

# A batch of this share of the best throughput is large enough where the oldest row has little time left.
_GOOD_ENOUGH = 0.8


class Window(NamedTuple):
    """Most rows of a batch, and from how many on more of them hardly raise what a slot does in a second."""

    most_rows: int
    enough_rows: int


def window(estimate: Estimate, goal_s: float, max_rows: int) -> Window:
    """The batches with which every row meets a goal of `goal_s` seconds in a busy queue.

    A row that comes just after a batch has begun waits for that one and runs in the next, so two runs have to fit. At
    least one row: what even alone takes longer than its goal has to run some time, and costs least alone.
    """
    most = max(1, int(min(estimate.most_rows(goal_s / 2), max_rows)))
    # rows / (fixed + row * rows) is the share `g` of its value at `most` rows from here on.
    fixed_s, row_s, _ = estimate
    best_s = estimate.run_s(most)
    needed = _GOOD_ENOUGH * fixed_s * most
    spared_s = best_s - _GOOD_ENOUGH * row_s * most
    enough = needed / spared_s if spared_s > 0.0 else 1.0
    return Window(most, max(1, min(most, ceil(enough))))


def rows_now(window: Window, estimate: Estimate, slack_s: float) -> int:
    """Rows of the next batch whose oldest row has `slack_s` seconds left: as many as still leave it in time.

    Never so few that the queue runs slower for one row's sake: the rows behind it would then be late instead.
    """
    in_time = estimate.most_rows(slack_s)
    if in_time >= window.most_rows:
        return window.most_rows
    return max(window.enough_rows, int(in_time))


def wait_s(estimate: Estimate, rows: int, gap_s: float, slack_s: float, longest_s: float) -> float:
    """Seconds for which `rows` that could run now had better wait for one more; 0 where waiting does not pay.

    It pays where the next row, expected after `gap_s`, saves more of the slot's time by sharing the run's fixed part
    than all those who wait lose by waiting; and only while the oldest, with `slack_s` left, is still in time.
    """
    wait = min(2.0 * gap_s, longest_s, slack_s - estimate.late_s(rows + 1))
    if wait <= 0.0 or gap_s > longest_s or rows * gap_s >= estimate.fixed_s:
        return 0.0
    return wait
