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


def test_how_many_rows_come_is_told_by_what_leaves_and_what_is_left() -> None:
    drain = Drain()
    for number in range(200):
        # Every other time half of them have to wait.
        drain.took(10 if number % 2 else 5, 0 if number % 2 else 5, number * 0.01)
    assert drain.coming_per_s == pytest.approx(750.0, rel=0.4)
    for number in range(200):
        drain.took(1, 0, 2.0 + number * 0.01)
    assert drain.coming_per_s == pytest.approx(100.0, rel=0.05)
    # A pause counts as long as it was.
    drain.took(1, 0, 60.0)
    assert drain.coming_per_s < 2.0
