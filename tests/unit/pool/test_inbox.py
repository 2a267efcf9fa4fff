"""Batches wait in the order they came, and a cancelled one is taken out before it can run."""

from __future__ import annotations

import pytest

from serving.errors import StreamRefused
from serving.inference import Batch, Stacked, VersionKey
from serving.pool.inbox import Inbox
from serving.wire.batch_frame import CANCELLED, encode_failed, encode_run
from serving.wire.frame import CANCEL, PING, PONG, WELCOME, Frame, encode
from serving.wire.frame_reader import FrameReader
from serving.wire.waits_frame import Waits, encode_waits

LIMIT = 2**30


def run(batch_id: int, size: int = 8, ttl_s: float = 1.0) -> bytes:
    inputs = (Stacked("x", "UINT8", (1, size), [bytes(size)]),)
    return b"".join(encode_run(Batch(VersionKey("m", 1), inputs, 1, 0.0), 0, batch_id, ttl_s)[0])


def cancel(batch_id: int) -> bytes:
    return encode(CANCEL, batch_id=batch_id)


def frames(*parts: bytes) -> list[Frame]:
    return list(FrameReader(LIMIT).feed(b"".join(parts)))


def order(inbox: Inbox) -> list[int]:
    taken = []
    while inbox:
        taken.append(inbox.take().frame.batch_id)
    return taken


def test_batches_are_taken_in_the_order_they_came() -> None:
    inbox = Inbox()
    assert inbox.accept(frames(run(5), run(3), run(9)), 0.0) == b""
    assert order(inbox) == [5, 3, 9]


def test_a_cancelled_batch_is_acknowledged_and_never_taken() -> None:
    inbox = Inbox()
    assert inbox.accept(frames(run(5), run(3), cancel(5)), 0.0) == encode_failed(5, CANCELLED)
    assert order(inbox) == [3]


def test_cancelling_what_runs_or_was_answered_says_nothing() -> None:
    inbox = Inbox()
    inbox.accept(frames(run(5)), 0.0)
    inbox.take()
    assert inbox.accept(frames(cancel(5), cancel(77)), 0.0) == b""


def test_a_ping_is_answered_at_once() -> None:
    assert Inbox().accept(frames(run(1), encode(PING, batch_id=4)), 0.0) == encode(PONG, batch_id=4)


def test_what_a_ping_tells_of_those_who_wait_is_kept_until_the_next_one_tells() -> None:
    inbox = Inbox()
    inbox.accept(frames(encode(PING)), 1.0)
    assert inbox.waits is None
    assert inbox.accept(frames(encode_waits(Waits(0.5, 1.0, 2.0, 3))), 2.0) == encode(PONG)
    inbox.accept(frames(encode(PING)), 3.0)
    assert inbox.waits == (2.0, Waits(0.5, 1.0, 2.0, 3))


def test_time_to_live_counts_from_the_arrival() -> None:
    inbox = Inbox()
    inbox.accept(frames(run(5, ttl_s=0.25)), 100.0)
    assert inbox.take().expires_at == pytest.approx(100.251)


@pytest.mark.parametrize(("count", "full"), [(63, False), (64, True)])
def test_reading_ahead_is_bounded_in_batches(count: int, full: bool) -> None:
    inbox = Inbox()
    inbox.accept(frames(*(run(number) for number in range(count))), 0.0)
    assert inbox.full is full


def test_reading_ahead_is_bounded_in_bytes_which_are_freed_again() -> None:
    inbox = Inbox()
    inbox.accept(frames(run(1, size=2**25), run(2, size=2**25)), 0.0)
    before = inbox.full
    inbox.accept(frames(cancel(1)), 0.0)
    assert (before, inbox.full) == (True, False)


@pytest.mark.parametrize("sent", [encode(WELCOME, b"{}"), encode(6, b"short"), run(1) + run(1)])
def test_what_no_gateway_sends_is_refused(sent: bytes) -> None:
    with pytest.raises(StreamRefused):
        Inbox().accept(frames(sent), 0.0)


def test_a_batch_knows_how_long_ago_it_was_read() -> None:
    inbox = Inbox()
    inbox.accept(frames(run(1)), 100.0)
    assert inbox.take().waited_s(100.25) == pytest.approx(0.25)
