"""The pace at which a queue empties, learned only while others wait."""

from __future__ import annotations

import pytest

from serving.batching.drain import Drain


def test_a_queue_in_which_rows_wait_tells_how_fast_they_leave() -> None:
    drain = Drain()
    for number in range(50):
        drain.took(10, 100, number * 0.02)
    assert drain.row_s == pytest.approx(0.002)
    for number in range(200):
        drain.took(10, 100, 1.0 + number * 0.01)
    assert drain.row_s == pytest.approx(0.001, rel=0.01)


def test_two_slots_that_take_one_after_the_other_count_as_what_they_do_together() -> None:
    drain = Drain()
    for number in range(200):
        drain.took(8, 50, number // 2 * 0.008 + number % 2 * 0.0001)
    assert drain.row_s == pytest.approx(0.0005, rel=0.1)


def test_the_time_in_which_nobody_waited_says_nothing() -> None:
    drain = Drain()
    for number in range(20):
        drain.took(1, 0, number * 5.0)
    assert drain.row_s == 0.0


def test_a_slow_moment_is_forgotten_where_each_batch_takes_all_that_wait() -> None:
    drain = Drain()
    for number in range(50):
        drain.took(1, 4, number * 0.02)
    assert drain.row_s == pytest.approx(0.02)
    for number in range(2_000):
        drain.took(4, 0, 1.0 + number * 0.005)
    assert drain.row_s < 0.001


def test_a_queue_that_is_empty_for_a_moment_forgets_little() -> None:
    drain = Drain()
    for number in range(50):
        drain.took(64, 400, number * 0.002)
    before = drain.row_s
    for number in range(50):
        drain.took(40, 0, 0.1 + number * 0.001)
    assert drain.row_s > 0.9 * before


def test_how_many_rows_come_is_told_whatever_leaves() -> None:
    drain = Drain()
    for number in range(200):
        drain.came += 20
        drain.took(10, 10 * number, number * 0.01)
    assert drain.coming_per_s(1.99) == pytest.approx(2_000.0, rel=0.05)
    # Those count that came since the last batch.
    drain.came += 250
    assert drain.coming_per_s(1.99) == pytest.approx(3_000.0, rel=0.05)
    # Where none comes it fades, though no batch leaves either.
    assert drain.coming_per_s(2.24) == pytest.approx(1_500.0, rel=0.05)
    assert drain.coming_per_s(62.0) < 15.0
