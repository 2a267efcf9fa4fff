"""The thread for long batches: one after another, called back while they wait, bounded."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from serving.pool.aside import Aside
from serving.pool.inbox import Waiting
from serving.wire.batch_frame import Run
from serving.wire.frame import RUN, Frame

SOON_S = 20.0


def batch(number: int) -> Waiting:
    return Waiting(Frame(RUN, 0, number, b"", 0, 0), Run(1_000, 1, 1, 0), 1.0)


@dataclass
class Runs:
    """Runs that end when the test says so."""

    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    end: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    order: list[int] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def __call__(self, waiting: Waiting) -> None:
        self.order.append(waiting.frame.batch_id)
        self.threads.add(threading.get_ident())
        self.begun.release()
        self.end.acquire(timeout=SOON_S)


def test_batches_run_in_their_order_on_one_thread_that_is_not_the_connections() -> None:
    runs = Runs()
    aside = Aside(runs, lambda: 0.0)
    for number in (3, 1, 2):
        aside.add(batch(number))
    for _ in range(3):
        assert runs.begun.acquire(timeout=SOON_S)
        runs.end.release()
    assert runs.order == [3, 1, 2]
    assert len(runs.threads) == 1
    assert threading.get_ident() not in runs.threads
    aside.close()


def test_one_that_waits_is_taken_out_and_one_that_runs_is_not() -> None:
    runs = Runs()
    aside = Aside(runs, lambda: 7.0)
    aside.add(batch(1))
    assert runs.begun.acquire(timeout=SOON_S)
    assert aside.since == 7.0
    aside.add(batch(2))
    aside.add(batch(3))
    assert not aside.cancel(1)
    assert aside.cancel(2)
    assert not aside.cancel(2)
    runs.end.release()
    assert runs.begun.acquire(timeout=SOON_S)
    assert runs.order == [1, 3]
    runs.end.release()
    aside.close()


def test_no_more_than_so_many_wait() -> None:
    runs = Runs()
    aside = Aside(runs, lambda: 0.0)
    aside.add(batch(0))
    assert runs.begun.acquire(timeout=SOON_S)
    full = []
    for number in range(1, 65):
        full.append(aside.full)
        aside.add(batch(number))
    full.append(aside.full)
    aside.cancel(1)
    full.append(aside.full)
    assert full == [False] * 64 + [True, False]
    runs.end.release(100)
    aside.close()


def test_once_closed_it_runs_nothing_more() -> None:
    runs = Runs()
    aside = Aside(runs, lambda: 0.0)
    aside.add(batch(1))
    assert runs.begun.acquire(timeout=SOON_S)
    aside.add(batch(2))
    aside.close()
    runs.end.release()
    assert not runs.begun.acquire(timeout=0.05)
    assert runs.order == [1]
