"""Who may run at once: bounded, and one alone after all others."""

from __future__ import annotations

import threading

from serving.pool.permits import Permits, RunPermits

SOON_S = 20.0


def test_a_permit_is_there_at_once_until_all_are_taken() -> None:
    permits = Permits(2)
    assert permits.take()
    assert permits.take()
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(permits.take()), daemon=True)
    waiting.start()
    assert waited == []
    permits.give()
    waiting.join(SOON_S)
    assert waited == [False]


def test_whoever_holds_all_has_waited_for_everybody_and_gives_all_back() -> None:
    permits = Permits(2)
    permits.take()
    held, free = threading.Event(), threading.Event()

    def hold_all() -> None:
        with permits.all():
            held.set()
            free.wait(SOON_S)

    holding = threading.Thread(target=hold_all, daemon=True)
    holding.start()
    assert not held.is_set()
    permits.give()
    assert held.wait(SOON_S)
    free.set()
    holding.join(SOON_S)
    assert permits.take()
    assert permits.take()


def test_one_that_runs_alone_waits_for_long_runs_too_and_leaves_them_their_permits() -> None:
    permits = RunPermits(1)
    permits.long.take()
    alone, free = threading.Event(), threading.Event()

    def run_alone() -> None:
        permits.short.take()
        with permits.alone():
            alone.set()
            free.wait(SOON_S)
        permits.short.give()

    running = threading.Thread(target=run_alone, daemon=True)
    running.start()
    assert not alone.is_set()
    permits.long.give()
    assert alone.wait(SOON_S)
    free.set()
    running.join(SOON_S)
    assert permits.short.take()
    assert permits.long.take()


def test_two_that_want_to_run_alone_do_so_one_after_the_other() -> None:
    permits = RunPermits(2)
    running: list[int] = []
    most: list[int] = []

    def run_alone(number: int) -> None:
        permits.short.take()
        with permits.alone():
            running.append(number)
            most.append(len(running))
            running.remove(number)
        permits.short.give()

    threads = [threading.Thread(target=run_alone, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)
    assert most == [1] * 8
