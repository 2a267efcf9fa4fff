"""A connection's second thread, on which its long batches run while the first one goes on with the short ones."""

from __future__ import annotations

import threading
from collections.abc import Callable

from serving.pool.inbox import Waiting

# More than this wait in the order of everything else.
_MOST_WAITING = 64


class Aside:
    """Runs what it is given, one batch after another, by `run`; the thread begins with the first one.

    `since` is when the batch that runs now began, on `clock`.
    """

    def __init__(self, run: Callable[[Waiting], None], clock: Callable[[], float]) -> None:
        self._run = run
        self._clock = clock
        self._waiting: dict[int, Waiting] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.since: float | None = None

    @property
    def full(self) -> bool:
        """No more may be added."""
        return len(self._waiting) >= _MOST_WAITING

    def add(self, waiting: Waiting) -> None:
        """Have a batch run."""
        with self._changed:
            self._waiting[waiting.frame.batch_id] = waiting
            if self._thread is None:
                name = f"{threading.current_thread().name}, long runs"
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def cancel(self, batch_id: int) -> bool:
        """Take a batch out; false where it has begun, or was never added."""
        with self._changed:
            return self._waiting.pop(batch_id, None) is not None

    def close(self) -> None:
        """Run nothing more; the thread ends with the batch that runs."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()

    def _work(self) -> None:
        while (waiting := self._next()) is not None:
            self._run(waiting)

    def _next(self) -> Waiting | None:
        with self._changed:
            self.since = None
            self._changed.wait_for(lambda: self._closed or self._waiting)
            if self._closed:
                return None
            self.since = self._clock()
            return self._waiting.pop(next(iter(self._waiting)))
