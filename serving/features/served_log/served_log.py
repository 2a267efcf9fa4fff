"""The served-feature log of a gateway worker: what the loop does for it, and the thread that does the rest."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from serving.errors import ServingError
from serving.features.served_log.entry import Entry, Seen
from serving.inference import Answer, Caller, Request

log = logging.getLogger(__name__)

# Rows that wait for the thread; of the flights' they hold about 10 MB.
MOST_ROWS = 10_000
# The thread looks so often, since waking it from the loop for each request would cost the loop more.
_LOOK_S = 0.1
# A disk that stands still must not hold up a worker that ends.
_END_S = 2.0


class Writer(Protocol):
    """Where entries go; called on the log's thread only, and may take its time. `written` and `lost` count rows."""

    written: int
    lost: int

    def write(self, entry: Entry) -> None:
        """Write the rows of a request, now or later."""

    def hurry(self) -> None:
        """The worker ends: take no time for anybody else's sake; called on another thread."""

    def turn(self) -> None:
        """Time has passed: a file may be full or old enough."""

    def close(self) -> None:
        """Nothing comes any more."""


class ServedLog:
    """Takes a sample of the answered requests by entity; `chance` gives a number from 0 to 1 for each request.

    The loop only appends to a bounded queue, after the answer; rows for which it has no room are dropped and counted.
    """

    def __init__(self, writer: Writer, sample: float, chance: Callable[[], float], most_rows: int = MOST_ROWS) -> None:
        self._writer = writer
        self._sample = sample
        self._chance = chance
        self._most = most_rows
        self._queue: deque[Entry] = deque()
        # Each is written by one thread alone, the loop's and the log's: no lock.
        self._offered = 0
        self._taken = 0
        self._dropped = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="served-feature-log", daemon=True)

    @property
    def written(self) -> int:
        """Rows that stand in files that can be read."""
        return self._writer.written

    @property
    def dropped(self) -> int:
        """Rows of the sample that were not written: no room in the queue, or the disk refused them."""
        return self._dropped + self._writer.lost

    def seen(self, request: Request, seen: Seen) -> None:
        """Have the request logged once it is answered, if it falls into the sample."""
        caller = request.caller
        if isinstance(caller, LoggedCaller):
            # Another version answers it now, which read its rows again.
            caller.seen = seen
        elif self._chance() < self._sample:
            request.caller = LoggedCaller(caller, seen, self)

    def offer(self, entry: Entry) -> None:
        """Queue an answered request, or drop it."""
        rows = entry.seen.rows.count
        if self._offered - self._taken + rows > self._most:
            self._dropped += rows
            return
        self._offered += rows
        self._queue.append(entry)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    async def stop(self) -> None:
        """Write what is queued and end the thread; what the disk does not take soon is lost."""
        self._writer.hurry()
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, _END_S)
        if self._thread.is_alive():
            log.warning("the served-feature log was not written to its end: its disk does not answer")

    def drain(self) -> None:
        """Hand the writer what is queued now, so that time passes for it also where more always comes; on the log's
        thread.
        """
        for _ in range(len(self._queue)):
            entry = self._queue.popleft()
            self._writer.write(entry)
            self._taken += entry.seen.rows.count

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            self.drain()
            self._writer.turn()
        self.drain()
        self._writer.close()


class LoggedCaller:
    """Stands before a request's own caller, answers it, and only then queues what was answered."""

    __slots__ = ("_caller", "_log", "seen")

    def __init__(self, caller: Caller, seen: Seen, served_log: ServedLog) -> None:
        self._caller = caller
        self._log = served_log
        self.seen = seen

    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Errors are answered and not logged: there is no prediction."""
        self._caller.answered(request, outcome)
        if isinstance(outcome, Answer):
            self._log.offer(Entry(self.seen, outcome))
