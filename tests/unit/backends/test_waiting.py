"""What queues note of those who wait, as it is told of their pool."""

from __future__ import annotations

import gc

import pytest

from serving.backends.waiting import PoolWaits, WaitNotes
from serving.wire.waits_frame import Waits


def test_a_queue_tells_the_means_since_the_last_time() -> None:
    notes = WaitNotes()
    notes.note(0.010, 0.02, 0.03, 4)
    notes.note(0.030, 0.02, 0.03, 8)
    assert notes.taken() == pytest.approx((0.02, 0.02, 0.03, 6))
    assert notes.taken() == Waits()


def test_one_pause_is_not_a_second_of_waiting() -> None:
    notes = WaitNotes()
    notes.note(0.2, 0.02, 0.03, 50)
    for _ in range(999):
        notes.note(0.0, 0.02, 0.03, 0)
    assert notes.taken().pressure < 0.05


def test_a_pool_tells_of_the_queue_that_is_worst_off_and_of_the_rows_of_all() -> None:
    pool = PoolWaits()
    busy, idle, slow = pool.queue(), pool.queue(), pool.queue()
    busy.note(0.018, 0.02, 0.03, 7)
    # Longer, and yet further from its goal.
    slow.note(0.5, 10.0, 12.0, 5)
    assert idle is not None
    assert pool.taken() == pytest.approx((0.018, 0.02, 0.03, 12))
    assert pool.taken() == Waits()


def test_a_queue_that_is_gone_is_not_asked_any_more() -> None:
    pool = PoolWaits()
    notes = pool.queue()
    notes.note(1.0, 0.02, 0.03, 7)
    del notes
    gc.collect()
    assert pool.taken() == Waits()
