"""A thread that yields: what the kernel says of it, and of those beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial

from serving.runtime import low_priority

NICE = 5


def on_a_thread(*steps: Callable[[], object]) -> tuple[int, int]:
    """Policy and niceness of a fresh thread after these steps."""
    found: list[int] = []

    def run() -> None:
        for step in steps:
            step()
        found.extend((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0], found[1]


def test_a_thread_yields_and_those_beside_it_do_not() -> None:
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    assert on_a_thread(low_priority.take) == (os.SCHED_BATCH, max(NICE, before[1]))
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before


def test_all_that_yield_share_one_core_and_leave_the_others() -> None:
    allowed = os.sched_getaffinity(0)
    cores: list[set[int]] = []
    on_a_thread(low_priority.take, lambda: cores.append(os.sched_getaffinity(0)))
    assert cores == [{max(allowed)}]
    assert os.sched_getaffinity(0) == allowed


def test_those_with_numbers_of_their_own_have_cores_of_their_own() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    cores: list[set[int]] = []
    for number in range(len(allowed) + 1):
        on_a_thread(partial(low_priority.take, number=number), lambda: cores.append(os.sched_getaffinity(0)))
    assert cores == [{core} for core in (*allowed, allowed[0])]


def test_one_that_has_yielded_more_already_stays_as_it_is() -> None:
    _, nice = on_a_thread(lambda: os.nice(NICE + 2), low_priority.take)
    assert nice >= NICE + 2


def test_another_thread_can_be_told_by_its_id() -> None:
    def tell(thread: int) -> None:
        teller = threading.Thread(target=low_priority.take, args=(thread,))
        teller.start()
        teller.join()

    assert on_a_thread(lambda: tell(threading.get_native_id()))[0] == os.SCHED_BATCH


def test_one_that_has_ended_meanwhile_is_no_error() -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    assert ended.native_id is not None
    low_priority.take(ended.native_id)
