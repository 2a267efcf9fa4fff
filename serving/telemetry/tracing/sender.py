"""Spans on their way to a receiver of OTLP over HTTP: a bounded queue that the loop fills, and a thread that sends."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from serving.telemetry.tracing import otlp

log = logging.getLogger(__name__)

# The thread looks so often, since waking it from the loop for each span would cost the loop more.
_LOOK_S = 0.5
# What one request carries; receivers take 4 MB and more.
_MOST_BYTES = 1_000_000
# A receiver that does not answer must not hold up a worker that ends.
_END_S = 2.0
_LONGEST_PAUSE_S = 30.0
# OTLP 1.x, "OTLP/HTTP Response": what may be sent again; anything else would be refused again.
_LATER = frozenset((429, 502, 503, 504))
_OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where spans go; `headers` may hold a key and are shown nowhere."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 5.0


class Refused(Exception):
    """The receiver does not want these spans, and would not a second time."""


class _Batch:
    """Spans of one request, by what they are of."""

    def __init__(self) -> None:
        self.groups: dict[bytes, list[bytes]] = {}
        self.count = 0
        self.size = 0

    def add(self, resource: bytes, spans: bytes, count: int) -> None:
        self.groups.setdefault(resource, []).append(spans)
        self.count += count
        self.size += len(spans)


Post = Callable[[bytes], None]


class SpanSender:
    """`offer` never waits: where the queue is full, or the receiver takes nothing for long, spans are lost and counted.

    `post` sends one request, on the sender's thread; it raises OSError or HTTPException where it may be tried again,
    and `Refused` where it may not.
    """

    def __init__(self, post: Post, release: str, most_bytes: int) -> None:
        self._post = post
        self._release = release
        self._most = most_bytes
        self._queue: deque[tuple[bytes, bytes, int]] = deque()
        # Taken from the queue, and not sent yet.
        self._batch = _Batch()
        # Each is written by one thread alone, the loop's and the sender's: no lock.
        self._offered = 0
        self._taken = 0
        self.dropped = 0
        self.sent = 0
        self.lost = 0
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="span-sender", daemon=True)

    def offer(self, resource: bytes, spans: bytes, count: int) -> None:
        """Queue so many spans of a process (`otlp.resource`), joined (`otlp.span_bytes`), or drop them."""
        if self._offered - self._taken + len(spans) > self._most:
            self.dropped += count
            return
        self._offered += len(spans)
        self._queue.append((resource, spans, count))

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    async def stop(self) -> None:
        """Send what is queued, if the receiver takes it at once, and end the thread."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, _END_S)

    def _run(self) -> None:
        pause_s = _LOOK_S
        while not self._stopping.wait(pause_s):
            while self._send():
                pass
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S) if self._failing else _LOOK_S
        while self._send():
            pass
        self._lose_the_rest()

    def _send(self) -> bool:
        """Send what was queued first; false where nothing is, or the receiver takes nothing now."""
        batch = self._batch
        while self._queue and batch.size < _MOST_BYTES:
            batch.add(*self._queue.popleft())
        if not batch.count:
            return False
        try:
            self._post(otlp.request(batch.groups.items(), self._release))
        except (OSError, HTTPException) as error:
            self._fails(f"{type(error).__name__}: {error}")
            return False
        except Refused as error:
            self._fails(str(error))
            self.lost += batch.count
        except Exception as error:  # noqa: BLE001 - the thread would end, and nobody would send any more
            # Its text may hold what was to be sent.
            self._fails(type(error).__name__)
            self.lost += batch.count
        else:
            self.sent += batch.count
            self._works()
        self._taken += batch.size
        self._batch = _Batch()
        return True

    def _lose_the_rest(self) -> None:
        self.lost += self._batch.count
        # The loop may still offer some, and a deque that grows cannot be iterated.
        while self._queue:
            self.lost += self._queue.popleft()[2]

    def _fails(self, why: str) -> None:
        # Once, however long it lasts: a line a second says no more.
        if not self._failing:
            self._failing = True
            log.warning("the receiver of traces takes no spans (%s); predictions go on, spans are lost", why)

    def _works(self) -> None:
        if self._failing:
            self._failing = False
            log.info("the receiver of traces takes spans again")


def poster(receiver: Receiver) -> Post:
    """Posts to the receiver over one connection that is kept; made anew where it breaks."""
    at = urlsplit(receiver.url)
    kind = HTTPSConnection if at.scheme == "https" else HTTPConnection
    connection = kind(at.hostname or "", at.port, timeout=receiver.timeout_s)
    path = at.path.rstrip("/")
    path = path if path.endswith("/v1/traces") else f"{path}/v1/traces"
    headers = {"content-type": "application/x-protobuf", **receiver.headers}

    def ask(body: bytes) -> HTTPResponse:
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            connection.close()
            raise
        return answer

    def post(body: bytes) -> None:
        kept = connection.sock is not None
        try:
            answer = ask(body)
        except ConnectionError:
            # One that has been idle may have been closed by now, which says nothing of the receiver.
            if not kept:
                raise
            answer = ask(body)
        if answer.status in _LATER:
            raise ConnectionError(f"it answers {answer.status}")
        if answer.status not in _OK:
            raise Refused(f"it answers {answer.status} {answer.reason}")

    return post
