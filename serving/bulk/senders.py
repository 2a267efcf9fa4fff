"""A few threads that ask, each on a connection of its own; what they are given is taken in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from serving.bulk.asking import Asker, Part

Task = Callable[[Asker], list[Part]]


class Senders:
    """They are daemons: an end does not wait for an answer that nobody wants any more."""

    def __init__(self, askers: list[Asker]) -> None:
        self._tasks: queue.SimpleQueue[tuple[Task, Future[list[Part]]] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, args=(asker,), daemon=True) for asker in askers]
        for thread in self._threads:
            thread.start()

    @property
    def count(self) -> int:
        """How many requests may be in flight."""
        return len(self._threads)

    def submit(self, task: Task) -> Future[list[Part]]:
        """What became of its rows, later."""
        future: Future[list[Part]] = Future()
        self._tasks.put((task, future))
        return future

    def close(self) -> None:
        """Take no more; those who work end with what they have."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self, asker: Asker) -> None:
        while (given := self._tasks.get()) is not None:
            task, future = given
            try:
                future.set_result(task(asker))
            except BaseException as error:  # noqa: BLE001 - told to whoever waits for it
                future.set_exception(error)
