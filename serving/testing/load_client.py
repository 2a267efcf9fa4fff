"""A load client: asks at a constant rate or at full speed, and holds every answer against its own question.

It never retries. What is not a right answer is kept with its status and its times, all on the monotonic clock, which
processes of one machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop

# Callers at full speed do so after each failure, so that an outage does not become a million of them.
_PAUSE_S = 0.02
_HEAD_END = b"\r\n\r\n"

Answer = tuple[int, str, bytes]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Question:
    """A request to POST, and how its right answer is told from a wrong one.

    `told` is called with the status, the head (in small letters) and the body of every answer, on the client's thread.
    """

    path: str
    body: bytes
    right: Callable[[bytes], bool]
    headers: str = ""
    told: Callable[[int, str, bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask, how often, and when to end: after `most` requests or `for_s` seconds, whichever comes first.

    With a `rate` (requests a second) requests are sent when they are due, answered or not; without one each of
    `callers` asks as soon as it is answered. Connections are kept alive and used in turn, at least `callers` of them;
    `fresh` takes a new one for each request. `patience_s` without an answer is a hang.
    """

    port: int
    question: Callable[[int], Question]
    most: int
    for_s: float
    rate: float | None = None
    callers: int = 64
    fresh: bool = False
    patience_s: float = 15.0
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without a right answer; `status` is None when none came, `connected_at` when there was no connection.

    A wrong answer has status 200.
    """

    asked_at: float
    ended_at: float
    status: int | None
    text: str
    connected_at: float | None = None


@dataclass(slots=True)
class Report:
    """`good` holds when each rightly answered request was asked, and `took_s` how long its answer took."""

    good: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    connections: int = 0

    @property
    def asked(self) -> int:
        """Requests that ended, one way or the other."""
        return len(self.good) + len(self.failures)

    def by_status(self) -> dict[str, int]:
        """How many failures of each status; "none" are those without an answer."""
        return dict(Counter(str(one.status or "none") for one in self.failures))

    def hangs(self) -> list[Failure]:
        """Requests that were neither answered nor lost with their connection."""
        return [one for one in self.failures if one.status is None and one.text.startswith("no answer")]

    def wrong(self) -> list[Failure]:
        """Answers to another question than was asked."""
        return [one for one in self.failures if one.status == 200]  # noqa: PLR2004 - HTTP's OK

    def good_since(self, moment: float) -> float | None:
        """When the first one after `moment` was asked that got a right answer."""
        return min((at for at in self.good if at > moment), default=None)

    def percentiles_s(self, spans: Sequence[Span], *shares: float) -> list[float]:
        """Times that such a share of the right answers took at the most; of what was asked in these spans of time.

        Raises:
            ValueError: nothing was asked and rightly answered then.
        """
        # Not strict: the client may be between the two of its next request.
        asked = zip(self.good, self.took_s, strict=False)
        took = sorted(took for at, took in asked if any(began <= at < ended for began, ended in spans))
        if not took:
            raise ValueError("nothing was asked and rightly answered in these spans of time")
        # The nearest rank: a time that a request really took.
        return [took[max(math.ceil(share * len(took)) - 1, 0)] for share in shares]

    def __str__(self) -> str:
        said = [f"{one.ended_at:.3f} {one.status} {one.text}" for one in self.failures[:5]]
        slowest_s = max(self.took_s, default=0.0)
        return "\n".join([f"{self.asked} asked, failures {self.by_status()}, slowest {slowest_s:.3f} s", *said])


class RunningLoad:
    """A load in a thread of its own; `report` grows while it runs."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.report = Report()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load client", daemon=True)
        self._thread.start()

    def stop(self) -> Report:
        """Ask no more; returns when all is answered, or did not answer in time."""
        self._stop.set()
        return self.ended()

    def ended(self) -> Report:
        """Wait for the end that the load itself has.

        Raises:
            TimeoutError: the client itself hangs.
        """
        self._thread.join(self.load.for_s + 2 * self.load.patience_s + 5)
        if self._thread.is_alive():
            raise TimeoutError("the load client does not end")
        return self.report

    def _run(self) -> None:
        uvloop.run(_Client(self.load, self.report, self._stop).run())


@contextlib.contextmanager
def running(load: Load) -> Iterator[RunningLoad]:
    """For the length of a test; ended afterwards, whatever the test came to."""
    client = RunningLoad(load)
    try:
        yield client
    finally:
        client.stop()


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self.at = time.monotonic()
        self.open = True
        self._buffer = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError(f"connection lost: {exc or 'end of file'}"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0 or self._answer is None or self._answer.done():
            return
        head = self._buffer[:end].decode("latin-1").lower()
        length = int(head.partition("\r\ncontent-length:")[2].partition("\r\n")[0])
        whole = end + len(_HEAD_END) + length
        if len(self._buffer) < whole:
            return
        body = bytes(self._buffer[end + len(_HEAD_END) : whole])
        del self._buffer[:whole]
        if "\r\nconnection: close" in head:
            self.close()
        self._answer.set_result((int(head[9:12]), head, body))

    def close(self) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.close()

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("connection lost: before the request was sent")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer


class _Client:
    def __init__(self, load: Load, report: Report, stop: threading.Event) -> None:
        self._load = load
        self._report = report
        self._stop = stop
        self._free: deque[_Connection] = deque()
        self._number = 0
        self._ends_at = 0.0

    async def run(self) -> None:
        self._ends_at = time.monotonic() + self._load.for_s
        if not self._load.fresh:
            await self._connect_first()
        try:
            if self._load.rate is None:
                await asyncio.gather(*(self._caller() for _ in range(self._load.callers)))
            else:
                await self._at_rate(self._load.rate)
        finally:
            for connection in self._free:
                connection.close()

    @property
    def _over(self) -> bool:
        return self._stop.is_set() or self._number >= self._load.most or time.monotonic() >= self._ends_at

    async def _connect_first(self) -> None:
        opened = await asyncio.gather(*(self._connect() for _ in range(self._load.callers)), return_exceptions=True)
        self._free.extend(one for one in opened if isinstance(one, _Connection))

    async def _caller(self) -> None:
        while not self._over:
            if not await self._ask(self._next()):
                await asyncio.sleep(_PAUSE_S)

    async def _at_rate(self, rate: float) -> None:
        began = time.monotonic()
        asking: set[asyncio.Task[bool]] = set()
        while not self._over:
            task = asyncio.create_task(self._ask(self._next()))
            asking.add(task)
            task.add_done_callback(asking.discard)
            # When this process was held up, what is late is sent at once, so that the count is kept.
            await asyncio.sleep(began + self._number / rate - time.monotonic())
        if asking:
            await asyncio.wait(asking)

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _ask(self, number: int) -> bool:
        question = self._load.question(number)
        asked_at = time.monotonic()
        connection: _Connection | None = None
        status: int | None = None
        try:
            async with asyncio.timeout(self._load.patience_s):
                connection = await self._connection()
                status, head, body = await connection.ask(self._request(question))
        except TimeoutError:
            text = f"no answer within {self._load.patience_s:g} s"
        except OSError as error:
            text = str(error)
        else:
            text = _problem(question, status, body)
            if question.told is not None:
                question.told(status, head, body)
        self._give_back(connection, answered=status is not None)
        return self._note(asked_at, status, text, connection)

    async def _connection(self) -> _Connection:
        while self._free and not self._load.fresh:
            # One that was closed while idle is no failure: nothing was asked on it.
            if (connection := self._free.popleft()).open:
                return connection
        return await self._connect()

    async def _connect(self) -> _Connection:
        self._report.connections += 1
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection, self._load.host, self._load.port
        )
        connection.at = time.monotonic()
        return connection

    def _give_back(self, connection: _Connection | None, *, answered: bool) -> None:
        if connection is None:
            return
        if answered and connection.open and not self._load.fresh:
            self._free.append(connection)
        else:
            connection.close()

    def _note(self, asked_at: float, status: int | None, text: str, connection: _Connection | None) -> bool:
        now = time.monotonic()
        if not text:
            self._report.good.append(asked_at)
            self._report.took_s.append(now - asked_at)
            return True
        connected_at = connection.at if connection is not None else None
        self._report.failures.append(Failure(asked_at, now, status, text, connected_at))
        return False

    def _request(self, question: Question) -> bytes:
        head = (
            f"POST {question.path} HTTP/1.1\r\nhost: {self._load.host}\r\n{question.headers}"
            f"content-length: {len(question.body)}\r\n\r\n"
        )
        return head.encode() + question.body


def _problem(question: Question, status: int, body: bytes) -> str:
    if status != 200:  # noqa: PLR2004 - HTTP's OK
        return body.decode(errors="replace")[:300]
    return "" if question.right(body) else f"wrong answer to {question.body[:200]!r}: {body[:200]!r}"
