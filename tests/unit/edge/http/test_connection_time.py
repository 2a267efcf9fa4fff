"""One connection and time: readers that do not read, and clients that do not finish what they begin."""

from __future__ import annotations

import pytest

from serving.edge.http.limits import HttpLimits
from tests.unit.edge.http.wire import GET, Wire, holding, infer, mean, post

# --- readers that do not read


def stalled(buffered: int = 200_000) -> Wire:
    """A connection that was told to pause by its first answer."""
    wire = holding()
    wire.send(infer("1") + infer("2"))

    def pause() -> None:
        wire.transport.on_write = None
        wire.transport.buffered = buffered
        wire.connection.pause_writing()

    wire.transport.on_write = pause
    first = wire.predictions.held[0]
    first.reply(wire.predictions.reply(first))
    return wire


def test_a_connection_whose_writer_is_paused_reads_accepts_and_writes_nothing() -> None:
    wire = stalled()
    assert not wire.transport.is_reading()
    wire.send(infer("3"))
    assert len(wire.predictions.accepted) == 2
    wire.predictions.release()
    assert len(wire.answers) == 1
    assert wire.edge.budget.used > len(wire.transport.written)
    wire.connection.resume_writing()
    wire.predictions.release()
    assert [mean(answer) for answer in wire.answers] == [1, 2, 3]
    assert wire.transport.is_reading()
    assert wire.edge.budget.used == 0


def test_what_was_held_while_the_writer_was_paused_is_accepted_afterwards(wire: Wire) -> None:
    wire.transport.on_write = wire.connection.pause_writing
    wire.send(GET)
    wire.send(infer("2"))
    assert len(wire.answers) == 1
    wire.transport.on_write = None
    wire.connection.resume_writing()
    assert [answer.status for answer in wire.answers] == [200, 200]
    assert wire.transport.is_reading()
    assert wire.edge.budget.used == 0


def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    wire = stalled()
    wire.sweep(after_s=29.0)
    assert not wire.transport.was_aborted()
    wire.sweep(after_s=2.0)
    assert wire.transport.was_aborted()
    wire.connection.connection_lost(None)
    assert wire.edge.budget.used == 0


@pytest.mark.parametrize(("kb_s", "kept"), [(64, True), (60, False)])
def test_a_slow_reader_is_kept_at_the_least_rate_and_cut_below_it(kb_s: int, *, kept: bool) -> None:
    wire = stalled(60 << 20)
    for _ in range(90):
        wire.transport.buffered -= kb_s * 10 * 1024
        wire.sweep(after_s=10.0)
    assert wire.transport.was_aborted() is not kept


def test_a_last_answer_may_take_as_long_as_any(wire: Wire) -> None:
    wire.transport.on_write = wire.connection.pause_writing
    wire.transport.buffered = 10 << 20
    wire.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    for _ in range(10):
        wire.transport.buffered -= 1 << 20
        wire.sweep(after_s=10.0)
    assert not wire.transport.was_aborted()
    wire.connection.resume_writing()
    wire.sweep(after_s=4.0)
    assert not wire.transport.was_aborted()
    wire.sweep(after_s=2.0)
    assert wire.transport.was_aborted()


# --- time-outs


def test_a_head_that_does_not_end_is_answered_and_closed(wire: Wire) -> None:
    wire.send(GET)
    wire.send(GET[:10])
    wire.sweep(after_s=9.0)
    assert len(wire.answers) == 1
    wire.send(GET[10:12])
    wire.sweep(after_s=2.0)
    assert wire.answers[1].status == 408
    assert wire.transport.was_finished()


def test_a_body_that_does_not_end_is_answered_and_closed(wire: Wire) -> None:
    wire.send(infer()[:-1])
    wire.sweep(after_s=29.0)
    assert wire.answers == []
    wire.sweep(after_s=2.0)
    assert wire.answer.status == 408
    assert wire.edge.budget.used == 0
    assert wire.predictions.accepted == []


def test_a_body_that_arrives_at_the_least_rate_may_take_longer(wire: Wire) -> None:
    wire.send(post(b"x" * 7_000_000)[:6_400_000])
    wire.sweep(after_s=100.0)
    assert wire.answers == []
    wire.sweep(after_s=50.0)
    assert wire.answer.status == 408


def test_a_refused_body_that_does_not_end_is_closed_without_a_second_answer(wire: Wire) -> None:
    wire.send(infer(path="/nowhere")[:-1])
    assert wire.answer.status == 404
    wire.sweep(after_s=31.0)
    assert wire.answer.status == 404
    assert wire.transport.was_finished()


def test_an_idle_connection_is_closed_later_than_one_that_never_asked(wire: Wire) -> None:
    other, _ = wire.connect()
    wire.send(GET)
    wire.sweep(after_s=11.0)
    assert other.eof_written
    assert not wire.transport.was_finished()
    wire.sweep(after_s=65.0)
    assert wire.transport.was_finished()
    assert len(wire.answers) == 1


def test_waiting_for_a_model_is_not_being_idle() -> None:
    wire = holding()
    wire.send(infer("1"))
    wire.sweep(after_s=1000.0)
    assert not wire.transport.was_finished()
    wire.predictions.release()
    assert mean(wire.answer) == 1


def test_the_time_in_which_nothing_was_read_is_not_the_clients() -> None:
    wire = holding(HttpLimits(max_pipelined=1))
    wire.send(infer("1") + infer("2") + infer("3")[:-1])
    wire.sweep(after_s=100.0)
    wire.predictions.release()
    wire.predictions.release()
    wire.sweep(after_s=1.0)
    wire.send(infer("3")[-1:])
    wire.predictions.release()
    assert [mean(answer) for answer in wire.answers] == [1, 2, 3]
