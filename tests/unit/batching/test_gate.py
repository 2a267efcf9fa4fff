"""What the gate notes of those whom it turns away, for those who scale the pool."""

from __future__ import annotations

import pytest

from serving.backends.waiting import WaitNotes
from serving.batching.fair_share import Shares
from serving.batching.gate import Gate
from serving.batching.latency_model import Estimate, LatencyModel
from serving.batching.loop_lag import LoopLag
from serving.batching.pace import Pace
from serving.batching.row_queue import QueueLimits, RowQueue
from serving.batching.surroundings import Surroundings
from serving.inference import Request
from serving.wire.waits_frame import Waits
from tests.unit.batching.conftest import StillTimers, batcher_of


class Busy:
    """A gate whose pool still runs for `running_s`, 10 ms a row, before a goal of 100 ms."""

    def __init__(self, running_s: float, lag_s: float = 0.0) -> None:
        self.notes = WaitNotes()
        limits = QueueLimits(max_rows=1)
        still = StillTimers(lambda: 0.0)
        shares, lag = Shares(alone=True), LoopLag(still)
        lag.seconds, lag.calm = lag_s, False
        of = batcher_of(limits, lambda: 0.0)
        shares.resize(1, 1)
        if running_s:
            assert shares.long.enters(of, bulk=False)
            shares.long.charge(of, running_s, 0.0)
        around = Surroundings(lambda: 0.0, Request.reply, shares, lag, still, waits=self.notes)
        pace = Pace(LatencyModel(Estimate(0.0, 0.01, 1.0)), 0.1, 1)
        self.gate = Gate("m/1", pace, RowQueue(limits), of, around)


def test_who_is_turned_away_at_the_end_of_the_head_is_noted_with_the_wait_that_was_spared() -> None:
    busy = Busy(0.5)
    assert busy.gate.turned_away(None) is not None
    # A run of 10 ms would have ended 410 ms after the goal.
    assert busy.notes.taken() == pytest.approx((0.09 + 0.41, 0.09, 0.1, 0))
    assert busy.gate.turned_away(0.05) is not None
    # Nor where another version may answer.
    assert busy.gate.turned_away(None, noted=False) is not None
    assert busy.notes.taken() == Waits()


def test_who_is_let_in_is_not_noted_here() -> None:
    busy = Busy(0.05)
    assert busy.gate.turned_away(None) is None
    assert busy.notes.taken() == Waits()


def test_a_loop_that_is_behind_calls_for_no_replicas() -> None:
    for running_s, lag_s in ((0.0, 0.5), (0.05, 0.09), (0.05, 0.5), (0.05, 0.06)):
        busy = Busy(running_s, lag_s)
        assert busy.gate.turned_away(None) is not None
        # Predictions were short by half, of what the loop loses too.
        busy.gate._pace.drag = 1.5
        asked = Request("m", [], None, 0.0)  # type: ignore[arg-type]
        asked.deadline_s = 1.0
        assert busy.gate.too_late(asked) is not None
        assert busy.notes.taken() == Waits()
