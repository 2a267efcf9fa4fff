"""A thread that asks for short turns: what the kernel says of it, of those that it starts, and of those beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from serving.runtime import low_priority, short_turns
from tests.unit.runtime.turns_told import short_ns, told


def on_a_thread(*steps: Callable[[], object]) -> None:
    def run() -> None:
        for step in steps:
            step()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_a_thread_and_those_that_it_starts_have_short_turns_and_those_beside_it_do_not() -> None:
    before = policy, nice, turn_ns = told()
    found: list[tuple[int, int, int]] = []
    on_a_thread(short_turns.take, lambda: found.append(told()), lambda: on_a_thread(lambda: found.append(told())))
    assert found == [(policy, nice, short_ns(turn_ns))] * 2
    assert told() == before


def test_who_is_nice_stays_so() -> None:
    found: list[tuple[int, int, int]] = []
    on_a_thread(low_priority.take, lambda: found.append(told()), short_turns.take, lambda: found.append(told()))
    (policy, nice, turn_ns), after = found
    assert policy == os.SCHED_BATCH
    assert after == (policy, nice, short_ns(turn_ns))


def test_a_thread_of_another_policy_stays_as_it_is() -> None:
    # An idle thread runs when nobody else wants to: a turn of its own would be against what was asked for it.
    found: list[tuple[int, int, int]] = []
    idle = os.sched_param(0)
    on_a_thread(
        lambda: os.sched_setscheduler(0, os.SCHED_IDLE, idle),
        lambda: found.append(told()),
        short_turns.take,
        lambda: found.append(told()),
    )
    assert found[0] == found[1]
