"""What one version's batches take, and what follows from it: how many rows run together, and what is in time."""

from __future__ import annotations

from serving.batching.admission import Ahead, finish_s
from serving.batching.drain import Drain
from serving.batching.fair_share import LONG_RUN_S
from serving.batching.latency_model import Estimate, LatencyModel
from serving.batching.row_cost import RowCosts
from serving.batching.window import Window, rows_now, window
from serving.percentile import followed

# Rows that may wait join a batch of those that may not as long as it runs no more than a tenth longer.
_JOINING_SHARE = 0.1
# A batch of rows that may wait is over before a row that may not has lost more than this, or this share of its goal;
# where a single row takes that long, it takes half as much again as any run does, or a row would cost what forty do.
_BULK_RUN_S = 0.002
_BULK_SHARE = 0.1
_BULK_ROWS_SHARE = 0.5
# Where a run alone takes all of the goal, waiting is held against so much of it.
_WAIT_SHARE = 0.25
# Half of the goal is left to what is not counted where requests are let in without a closer look.
_SURE_SHARE = 0.5
_BRIEF_S = 0.001
_SETTLED_RUNS = 64
_STRIDE = 16
# Of those who are let in, so many may take longer than was predicted; what is learned of that stays within bounds.
_MISJUDGED_SHARE = 0.05
_STEP = 0.02
# A moment in which the processor was elsewhere, of so many seconds and of this share of what is allowed, is much of a
# short time and little of what is allowed: it must not be multiplied into long ones.
_TOLERATED_S, _TOLERATED_SHARE = 0.0025, 0.05
_LEAST_DRAG, _MOST_DRAG = 0.7, 8.0


class Pace:
    """The estimate of one version's runs on one backend and all that is derived from it, renewed with each run.

    `goal_s` is what a request may take, its model's goal or else its deadline. `most_rows` bounds a batch. `brief`:
    even the largest one is over before anybody would notice; `long`: the largest one runs so long that others of its
    pool would. `drag` is how much longer it takes to be answered than runs alone would have it: there are gaps between
    them, other gateways, and other programs on the machine. `may_wait_s` is what the goal leaves beside a run.
    """

    __slots__ = (
        "_costs",
        "_model",
        "_stride",
        "_until",
        "brief",
        "bulk_rows",
        "drag",
        "drain",
        "goal_s",
        "joining_rows",
        "long",
        "may_wait_s",
        "most_rows",
        "servers",
        "sure_rows",
        "window",
    )

    def __init__(self, model: LatencyModel, goal_s: float, most_rows: int) -> None:
        self._model = model
        self._costs = RowCosts(model.estimate.run_s(1))
        self.goal_s = goal_s
        self.most_rows = most_rows
        self.servers = 1
        self.window = Window(most_rows, 1)
        self.brief = self.long = False
        self.bulk_rows = self.joining_rows = self.sure_rows = 0
        self.may_wait_s = goal_s
        self._stride = self._until = 1
        self.drag = 1.0
        self.drain = Drain()
        self._derive()

    @property
    def estimate(self) -> Estimate:
        """What a run takes."""
        return self._model.estimate

    @property
    def runs(self) -> int:
        """Runs that the estimate has seen."""
        return self._model.runs

    def saw(self, rows: int, run_s: float) -> None:
        """A batch ran for so long; where runs are short and many, one of sixteen is learned from (5 us)."""
        self._until -= 1
        if not self._until:
            self._model.saw(rows, run_s)
            self._costs.saw(rows, run_s)
            self._derive()
            self._until = self._stride

    def serve_by(self, servers: int) -> None:
        """So many batches can run at once."""
        self.servers = max(1, servers)
        self._derive()

    def rows_now(self, slack_s: float) -> int:
        """Rows of the next batch, whose oldest row has so much time left."""
        return rows_now(self.window, self._model.estimate, slack_s)

    def finish_s(self, ahead: Ahead, rows: int) -> float:
        """See `admission.finish_s`; times what such predictions turned out to be short of."""
        return self.drag * finish_s(ahead, self._model.estimate, rows)

    def judged(self, predicted_s: float, took_s: float, timeout_s: float | None = None) -> None:
        """A request was answered after so long for which a time had been predicted; what its caller said to allow."""
        allowed_s = self.goal_s if timeout_s is None else timeout_s
        least = _LEAST_DRAG
        if 0.0 < took_s - predicted_s <= min(_TOLERATED_S, _TOLERATED_SHARE * allowed_s):
            # In time, which is no reason to think that less would do.
            took_s, least = predicted_s, min(self.drag, 1.0)
        drag = followed(self.drag, self.drag * took_s / predicted_s, _MISJUDGED_SHARE, _STEP)
        self.drag = min(max(drag, least), _MOST_DRAG)

    def queue_s(self, rows: int) -> float:
        """Seconds that waiting rows keep one server busy."""
        fixed_s, row_s, _ = self._model.estimate
        return rows * (row_s + fixed_s / self.window.most_rows)

    def _derive(self) -> None:
        estimate = self._model.estimate
        self.window = found = window(estimate, self.goal_s, min(self.most_rows, self._costs.most_rows))
        most = found.most_rows
        # With two batches of the largest size before it on every server, so many rows more are no danger to the goal.
        left_s = self.goal_s * _SURE_SHARE / self.drag - 2.0 * estimate.run_s(most) - estimate.late_s(most)
        per_row_s = max(self.queue_s(1) / self.servers, self.drain.row_s)
        self.sure_rows = _rows(left_s, per_row_s)
        self.joining_rows = _rows(_JOINING_SHARE * estimate.run_s(1), estimate.row_s)
        self.long = estimate.run_s(most) > LONG_RUN_S
        self.may_wait_s = max(self.goal_s - estimate.run_s(most), _WAIT_SHARE * self.goal_s)
        self.brief = most == self.most_rows and estimate.late_s(most) <= _BRIEF_S
        self._stride = _STRIDE if self.brief and self._model.runs >= _SETTLED_RUNS else 1
        fixed_s = estimate.fixed_s
        bulk_s = max(min(_BULK_RUN_S, _BULK_SHARE * self.goal_s) - fixed_s, _BULK_ROWS_SHARE * fixed_s)
        self.bulk_rows = max(1, min(most, _rows(bulk_s, estimate.row_s)))


def _rows(seconds: float, row_s: float) -> int:
    """Rows that fit into a time; bounded, since nothing may take no time at all."""
    if seconds <= 0.0:
        return 0
    return int(min(seconds / row_s, 1e9)) if row_s > 0.0 else 1_000_000_000
