"""Reads rows for every request of one turn of the loop at once: each key once, bounded in keys and in time."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from serving.errors import ServingError
from serving.features.feast.hash_row import HashRow
from serving.features.feature_status import AWAY, LATE, REFUSED, FeatureObserver
from serving.features.store.reading import Found, Read, Then
from serving.features.store.redis_address import parse
from serving.features.store.redis_connection import RedisConnection, connect
from serving.features.store.tls_failure import in_words

log = logging.getLogger(__name__)

Who = TypeVar("Who")

# No callback holds the loop for long: requests with many rows are told in several turns.
_LONGEST_TURN_S = 0.002
# Packed in one turn: a command of a thousand keys takes some 0.3 ms.
_COMMANDS_A_TURN = 8


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """Bounds of one reader; times in seconds.

    A read that is not answered within `timeout_s` is given up, and until the server has caught up nobody waits for it;
    a server that says nothing for `silence_s` is left and tried anew.
    """

    timeout_s: float = 0.05
    most_keys: int = 100_000
    connect_s: float = 1.0
    silence_s: float = 1.0
    first_pause_s: float = 0.05
    longest_pause_s: float = 1.0


class NodeReader:
    """`fetch` calls back once for everybody who asked, on the loop's thread, in `timeout_s` at the latest.

    `hashes` are the views that Feast keeps (`feast.hash_row.hash_rows`). Owns one task, which connects again whatever
    happens to the server.
    """

    def __init__(
        self,
        url: str,
        observer: FeatureObserver,
        options: ReaderOptions | None = None,
        hashes: Mapping[bytes, HashRow] | None = None,
    ) -> None:
        self._address = parse(url)
        self._observer = observer
        self._options = options or ReaderOptions()
        self._hashes = hashes or {}
        self._connection: RedisConnection | None = None
        self._gathered: Read | None = None
        # In the order of their commands; the first one is answered first.
        self._reads: deque[Read] = deque()
        # Those of them that have commands left to send, and the turn in which it goes on.
        self._unsent: deque[Read] = deque()
        self._sending: asyncio.Handle | None = None
        self._keys = 0
        self._behind = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._complaint = ""

    async def start(self) -> None:
        """Begin to connect; over once that succeeded or failed for the first time. It goes on by itself."""
        self._task = asyncio.get_running_loop().create_task(self._keep_connected(), name="features reader")
        await self._tried.wait()

    async def stop(self) -> None:
        """End the task and the connection; what is still read is called back with None."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self._lost()

    @property
    def most_keys(self) -> int:
        """More are never read at the same time."""
        return self._options.most_keys

    def has_room(self, keys: int) -> bool:
        """So many more keys may be read now."""
        return self._keys + keys <= self._options.most_keys

    def fetch(self, keys: Collection[bytes], who: Who, then: Callable[[Sequence[Who], Found | None], None]) -> None:
        """Read these keys with all others of this turn; never raises.

        `then` gets `who` together with others who asked with the same `then`; None: the store does not answer.
        """
        if self._connection is None or self._behind:
            # A server that owes answers would only make this one wait its full time as well.
            self._observer.feature_read_failed(LATE if self._behind else AWAY)
            then((who,), None)
            return
        read = self._gathered
        if read is None:
            read = self._gathered = Read(hashes=self._hashes)
            asyncio.get_running_loop().call_soon(self._send)
        read.lots.append(keys)
        read.asked += len(keys)
        others = read.waiting.get(then)
        if others is None:
            others = read.waiting[then] = []
        others.append(who)
        self._keys += len(keys)

    def _send(self) -> None:
        read, self._gathered = self._gathered, None
        if read is None:
            return
        if self._connection is None:
            self._failed(read, AWAY)
            return
        read.sent_at = time.monotonic()
        self._reads.append(read)
        self._unsent.append(read)
        if self._sending is None:
            self._send_some()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._options.timeout_s, self._look_twice)

    def _send_some(self) -> None:
        """Send some commands, one read after the other; what is left has the next turn."""
        self._sending = None
        for _ in range(_COMMANDS_A_TURN):
            if not self._unsent or self._connection is None:
                return
            read = self._unsent[0]
            command = read.command()
            if read.sent:
                self._unsent.popleft()
            if command is not None and self._hashes:
                self._connection.send_all(command, read.replies, self._answered)
            elif command is not None:
                self._connection.send(command, self._answered)
            elif read.answered:
                # What was left of it had been read before, and the replies were here first.
                self._finish(read)
        if self._unsent:
            self._sending = asyncio.get_running_loop().call_soon(self._send_some)

    def _answered(self, reply: object) -> None:
        read = self._reads[0]
        if read.take(reply):
            self._finish(read)

    def _finish(self, read: Read) -> None:
        """Everything of the first read is there."""
        self._reads.popleft()
        self._behind = bool(self._reads) and self._reads[0].late
        self._keys -= read.asked
        found = read.found()
        if found is None and not read.late:
            self._observer.feature_read_failed(REFUSED)
            self._complain(f"it answers a read with: {read.error}")
        self._tell(read.told(), found)

    def _tell(self, lots: Iterator[tuple[Then, Sequence[Any]]], found: Found | None) -> None:
        began = time.monotonic()
        for then, lot in lots:
            try:
                then(lot, found)
            except Exception:
                # The defect of one must not strand the others of the same read.
                log.exception("feature rows could not be taken")
            if time.monotonic() - began > _LONGEST_TURN_S:
                asyncio.get_running_loop().call_soon(self._tell, lots, found)
                return

    def _look_twice(self) -> None:
        # After a turn of the loop that took long, answers may wait in the socket behind this timer.
        self._timer = asyncio.get_running_loop().call_later(0.001, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        for read in list(self._reads):
            if now - read.sent_at < self._options.timeout_s:
                break
            if not read.late:
                self._observer.feature_read_failed(LATE)
                self._tell(read.told(), None)
        if not self._reads:
            return
        self._behind = self._reads[0].late
        if self._connection is not None and now - self._reads[0].sent_at >= self._options.silence_s:
            self._connection.abort(f"it did not answer for {self._options.silence_s:g} s")
            return
        waiting = next((read for read in self._reads if not read.late), None)
        due_s = self._options.timeout_s
        if waiting is not None:
            due_s = max(waiting.sent_at + due_s - now, 0.0)
        self._timer = asyncio.get_running_loop().call_later(due_s, self._look_twice)

    def _failed(self, read: Read, reason: str) -> None:
        self._keys -= read.asked
        if not read.late:
            self._observer.feature_read_failed(reason)
            self._tell(read.told(), None)

    def _lost(self) -> None:
        if self._connection is not None:
            self._connection.abort("the gateway is stopping")
        self._connection = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        self._unsent.clear()
        reads = list(self._reads)
        self._reads.clear()
        self._behind = False
        for read in reads:
            self._failed(read, AWAY)

    async def _keep_connected(self) -> None:
        pause_s = self._options.first_pause_s
        while True:
            began = time.monotonic()
            try:
                why = await self._connected()
            except (OSError, ServingError) as error:
                why = in_words(error)
            except Exception as error:
                # Ended here by a defect of ours, features would stay away for ever.
                log.exception("following the features Redis failed and goes on")
                why = type(error).__name__
            finally:
                self._lost()
                self._tried.set()
            self._complain(why)
            if time.monotonic() - began > self._options.longest_pause_s:
                pause_s = self._options.first_pause_s
            # Spread, so that a server that comes back is not met by all workers at once.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause_s = min(pause_s * 2, self._options.longest_pause_s)

    async def _connected(self) -> str:
        """Return when the connection has ended, with the reason; raise when none came to be."""
        try:
            async with asyncio.timeout(self._options.connect_s):
                self._connection = connection = await connect(self._address)
        except TimeoutError as error:
            raise TimeoutError(f"it did not answer within {self._options.connect_s:g} s") from error
        if self._complaint:
            self._complaint = ""
            log.info("the features Redis is back")
        self._tried.set()
        return await connection.ended

    def _complain(self, why: str) -> None:
        if why != self._complaint:
            self._complaint = why
            log.warning("the features Redis is away (%s); models answer by their on_missing", why)
