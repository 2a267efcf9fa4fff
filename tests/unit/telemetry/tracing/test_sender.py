"""Spans are lost before anybody waits; a receiver that is away is told of once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from serving.telemetry.tracing.otlp import Ids, resource, span_bytes
from serving.telemetry.tracing.sender import Refused, SpanSender
from tests.integration.trace_receiver import Received, spans_of

OF = resource({"service.name": "s", "service.instance.id": "1"})
SPAN = span_bytes("n", Ids(b"t" * 16, 1, 0), 1, 2)


class Receiver:
    """Raises what it is told to, and keeps what it took."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.posts = 0
        self.spans: list[Received] = []
        self.posted: Callable[[], None] = lambda: None

    def post(self, body: bytes) -> None:
        self.posts += 1
        self.posted()
        if self.error is not None:
            raise self.error
        self.spans += spans_of(body)


class OfferedMeanwhile(deque[tuple[bytes, bytes, int]]):
    """A queue that grows by what is late as soon as one is taken or looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[tuple[bytes, bytes, int]] = []

    def __iter__(self) -> Iterator[tuple[bytes, bytes, int]]:
        for one in super().__iter__():
            self._grow()
            yield one

    def popleft(self) -> tuple[bytes, bytes, int]:
        self._grow()
        return super().popleft()

    def _grow(self) -> None:
        while self.late:
            self.append(self.late.pop())


def sender(receiver: Receiver, most_bytes: int = 1_000_000) -> SpanSender:
    return SpanSender(receiver.post, "1", most_bytes)


async def ended(one: SpanSender) -> SpanSender:
    """Started and ended at once: what is queued is sent on the way out."""
    one.start()
    await one.stop()
    return one


async def test_what_was_offered_is_sent_by_what_it_is_of() -> None:
    receiver = Receiver()
    one = sender(receiver)
    for _ in range(3):
        one.offer(OF, SPAN, 1)
    one.offer(resource({"service.name": "other", "service.instance.id": "2"}), SPAN, 1)
    await ended(one)
    assert [(span.service, span.name) for span in receiver.spans] == [("s", "n")] * 3 + [("other", "n")]
    assert (one.sent, one.dropped, one.lost, receiver.posts) == (4, 0, 0, 1)


async def test_what_has_no_room_is_dropped_and_counted() -> None:
    receiver = Receiver()
    one = sender(receiver, most_bytes=2 * len(SPAN))
    for _ in range(5):
        one.offer(OF, SPAN, 1)
    assert one.dropped == 3
    one.offer(OF, SPAN * 3, 3)
    assert one.dropped == 6
    await ended(one)
    assert (one.sent, len(receiver.spans)) == (2, 2)


async def test_spans_that_were_joined_are_counted_each() -> None:
    receiver = Receiver()
    one = sender(receiver)
    one.offer(OF, SPAN * 3, 3)
    await ended(one)
    assert (one.sent, len(receiver.spans)) == (3, 3)
    receiver.error = ConnectionRefusedError("nobody")
    one = sender(receiver)
    one.offer(OF, SPAN * 2, 2)
    await ended(one)
    assert one.lost == 2


async def test_room_is_there_again_once_spans_are_sent() -> None:
    one = sender(Receiver(), most_bytes=len(SPAN))
    one.offer(OF, SPAN, 1)
    await ended(one)
    one.offer(OF, SPAN, 1)
    assert one.dropped == 0


@pytest.mark.parametrize("error", [ConnectionRefusedError("nobody"), TimeoutError("slow")])
async def test_spans_wait_for_a_receiver_that_is_away_and_are_lost_at_the_end(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    receiver.error = error
    one = sender(receiver)
    one.offer(OF, SPAN, 1)
    await ended(one)
    assert (one.sent, one.lost) == (0, 1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_what_is_offered_while_a_sender_ends_is_lost_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.telemetry.tracing.sender._MOST_BYTES", 1)
    receiver, queue = Receiver(), OfferedMeanwhile()
    receiver.error = ConnectionRefusedError("nobody")
    one = sender(receiver)
    one._queue = queue
    for _ in range(3):
        one.offer(OF, SPAN, 1)
    receiver.posted = lambda: queue.late.append((OF, SPAN * 2, 2))
    await ended(one)
    assert (one.sent, one.lost, receiver.posts) == (0, 5, 1)


async def test_what_is_refused_is_not_sent_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A request for each span.
    monkeypatch.setattr("serving.telemetry.tracing.sender._MOST_BYTES", 1)
    receiver = Receiver()

    def posted() -> None:
        receiver.error = Refused("it answers 400") if receiver.posts == 1 else None

    receiver.posted = posted
    one = sender(receiver)
    for _ in range(3):
        one.offer(OF, SPAN, 1)
    await ended(one)
    assert (one.lost, one.sent, receiver.posts, len(receiver.spans)) == (1, 2, 3, 2)
    assert "400" in caplog.text


async def test_what_cannot_be_posted_at_all_is_lost_and_told_once_without_its_words(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.telemetry.tracing.sender._MOST_BYTES", 1)
    receiver = Receiver()
    receiver.error = UnicodeError("hunter2 is no name of a host")
    one = sender(receiver)
    for _ in range(2):
        one.offer(OF, SPAN, 1)
    await ended(one)
    assert (one.sent, one.lost, receiver.posts) == (0, 2, 2)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "hunter2" not in caplog.text


async def test_that_it_takes_spans_again_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.telemetry.tracing.sender._LOOK_S", 0.001)
    receiver, twice = Receiver(), threading.Event()
    receiver.error = ConnectionRefusedError("nobody")

    def posted() -> None:
        if receiver.posts == 3:
            receiver.error = None
            twice.set()

    receiver.posted = posted
    one = sender(receiver)
    one.offer(OF, SPAN, 1)
    with caplog.at_level("INFO"):
        one.start()
        assert twice.wait(10)
        await one.stop()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert len(receiver.spans) == one.sent == 1
