"""Reads rows from one node for every request of one turn of the loop at once, bounded in keys and in time."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from serving.errors import ServingError
from serving.features.feast.hash_row import HashRow
from serving.features.feature_status import AWAY, LATE, OPEN, REFUSED, FeatureObserver
from serving.features.store.breaker import Breaker, BreakerOptions
from serving.features.store.feature_reader import Figures
from serving.features.store.reading import Found, Read
from serving.features.store.redis_node import Connection, RedisNode
from serving.features.store.telling import tell
from serving.features.store.tls_failure import in_words

log = logging.getLogger(__name__)

Who = TypeVar("Who")

# Packed in one turn: a command of a thousand keys takes some 0.3 ms.
_COMMANDS_A_TURN = 8


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """Bounds of one reader; times in seconds.

    A read that is not answered within `timeout_s` is given up, and until the server has caught up nobody waits for it;
    a server that says nothing for `silence_s` is left and tried anew. `hedge_share` of the reads may be asked of a
    replica as well.
    """

    timeout_s: float = 0.05
    most_keys: int = 100_000
    connect_s: float = 1.0
    silence_s: float = 1.0
    first_pause_s: float = 0.05
    longest_pause_s: float = 1.0
    hedge_share: float = 0.0
    breaker: BreakerOptions = field(default_factory=BreakerOptions)


class NodeReader:
    """`fetch` calls back once for everybody who asked, on the loop's thread, in `timeout_s` at the latest.

    `hashes` are the views that Feast keeps (`feast.hash_row.hash_rows`). Owns one task, which connects again whatever
    happens to the server.
    """

    def __init__(
        self,
        node: RedisNode,
        observer: FeatureObserver,
        options: ReaderOptions,
        hashes: Mapping[bytes, HashRow] | None = None,
    ) -> None:
        self.name = node.name
        self._node = node
        self._observer = observer
        self._options = options
        self._hashes = hashes or {}
        self._breaker = Breaker(options.breaker, time.monotonic)
        self._connection: Connection | None = None
        # Of this turn, in order; only the last one may take more.
        self._gathered: list[Read] = []
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

    def figures(self) -> Figures:
        """Of one node."""
        return Figures({self.name: self.answers})

    def has_room(self, keys: int) -> bool:
        """So many more keys may be read now."""
        return self._keys + keys <= self._options.most_keys

    def fetch(self, keys: Collection[bytes], who: Who, then: Callable[[Sequence[Who], Found | None], None]) -> None:
        """Read these keys with others of this turn, in one command where they fit into one; never raises.

        `then` gets `who` together with others who asked with the same `then`; None: the store does not answer.
        """
        if self._connection is None or self._behind:
            # A server that owes answers would only make this one wait its full time as well.
            self._observer.feature_read_failed(LATE if self._behind else AWAY)
            then((who,), None)
            return
        gathered = self._gathered
        read = gathered[-1] if gathered else None
        # A read has one value for each key. So whoever would have to be cut begins another, which reads again what
        # both want: else some of these rows could be of before a write, and some of after it.
        if read is None or not read.takes(len(keys)):
            if not self._breaker.allows():
                self._observer.feature_read_failed(OPEN)
                then((who,), None)
                return
            if not gathered:
                asyncio.get_running_loop().call_soon(self._send)
            read = Read(hashes=self._hashes, clustered=self._node.clustered)
            gathered.append(read)
        read.lots.append(keys)
        read.asked += len(keys)
        others = read.waiting.get(then)
        if others is None:
            others = read.waiting[then] = []
        others.append(who)
        self._keys += len(keys)

    def fetch_moving(
        self, keys: Collection[bytes], who: Who, then: Callable[[Sequence[Who], Found | None], None]
    ) -> None:
        """Read keys whose slot of the cluster is on its way to this node (ASK), by themselves."""
        if not self.answers:
            self._observer.feature_read_failed(AWAY)
            then((who,), None)
            return
        self._keys += len(keys)
        self._put([Read(asked=len(keys), lots=[keys], waiting={then: [who]}, clustered=True, asking=True)])

    @property
    def answers(self) -> bool:
        """It is connected, owes nothing, and is not left alone: what is asked now is sent."""
        return self._connection is not None and not self._behind and self._breaker.state == "closed"

    @property
    def wants_probe(self) -> bool:
        """It is connected and was left alone, and its time has come to be tried by one read."""
        return self._connection is not None and not self._behind and self._breaker.due

    def _send(self) -> None:
        reads, self._gathered = self._gathered, []
        self._put(reads)

    def _put(self, reads: Sequence[Read]) -> None:
        if self._connection is None:
            for read in reads:
                self._failed(read, AWAY)
            return
        now = time.monotonic()
        for read in reads:
            read.sent_at = now
        self._reads.extend(reads)
        self._unsent.extend(reads)
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
            if command is not None and read.replies == 1:
                self._connection.send(command, self._answered)
            elif command is not None:
                self._connection.send_all(command, read.replies, self._answered)
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
        if not read.late:
            self._breaker.ended("good" if found is not None else "failed")
            if read.error:
                self._observer.feature_read_failed(REFUSED)
                self._complain(f"it answers a read with: {read.error}{_advice(read.error)}")
        tell(read.told(), found)

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
                self._breaker.ended("slow")
                tell(read.told(), None)
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
            self._breaker.ended("failed")
            tell(read.told(), None)

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
                connection = await self._node.open()
        except TimeoutError as error:
            raise TimeoutError(f"it did not answer within {self._options.connect_s:g} s") from error
        self._connection = connection
        self._breaker.reset()
        if self._complaint:
            self._complaint = ""
            log.info("the features Redis at %s is back", self.name)
        self._tried.set()
        follow = self._node.follow
        if follow is None:
            return await connection.ended
        following = asyncio.ensure_future(follow(connection))
        # Compiled, a `finally` that awaits would swallow that this was cancelled.
        try:
            why = await connection.ended
        except BaseException:
            following.cancel()
            raise
        following.cancel()
        await asyncio.wait([following])
        return why

    def _complain(self, why: str) -> None:
        if why != self._complaint:
            self._complaint = why
            log.warning("the features Redis at %s is away (%s); models answer by their on_missing", self.name, why)


def _advice(error: str) -> str:
    if error.startswith(("MOVED ", "CROSSSLOT ")):
        return "; it is a node of a cluster: write redis+cluster:// instead of redis://"
    return ""
