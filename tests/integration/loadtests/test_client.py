"""The open-loop generator is a witness of overload: what it reports of a server that misbehaves is true."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from loadtests.generator.client import Client, Limits
from loadtests.generator.outcomes import Outcomes, by_status
from loadtests.generator.validity import validity
from tests.integration.served_on_a_thread import Connected, served

RESET, SILENT, OTHER, BUSY, LAST, RIGHT = "reset", "silent", "other", "busy", "last", "right"
LEAVING, TWICE, LONG = "leaving", "twice", "long"
HEADS = {
    BUSY: "503 Busy\r\nRetry-After: 2", LAST: "504 Late\r\nconnection: close", LEAVING: "200 OK\r\nConnection: close",
}  # fmt: skip


class Misbehaving(Connected):
    """Answers a word with itself, but for those above; in two pieces, as a network may have it."""

    left = False

    def data_received(self, data: bytes) -> None:
        word = data.decode()
        if word == RESET or self.left:
            self.transport.abort()
        elif word == LONG:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(5_000))
        elif word != SILENT:
            body = "none" if word == OTHER else word
            self.transport.write(f"HTTP/1.1 {HEADS.get(word, '200 OK')}\r\ncontent-length: ".encode())
            rest = f"{len(body)}\r\n\r\n{body}".encode()
            # It says no more on a connection that it has left.
            self.left = word == LEAVING
            rest += b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother" if word == TWICE else b""
            asyncio.get_running_loop().call_soon(self.transport.write, rest)


class Word:
    """Asks for a word, and is right to get it."""

    def __init__(self, word: str) -> None:
        self.request = word.encode()
        self.known: dict[bytes, bool] = {}

    def is_answered_by(self, head: bytes, body: bytes) -> bool:
        self.known[body] = body == self.request
        return self.known[body]


@pytest.fixture
def port() -> Iterator[int]:
    with served(Misbehaving) as port:
        yield port


def asked(
    port: int,
    words: list[str],
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
    stop: Callable[[], bool] | None = None,
) -> Outcomes:
    """Each word once, a millisecond apart."""
    client = Client(port, [[Word(word) for word in words]], limits or Limits(patience_s=2.0), clock)
    try:
        return client.open_loop(np.arange(len(words)) / 1e3, stop=stop)
    finally:
        client.close()


def test_each_end_of_a_request_is_told_from_the_others(port: int) -> None:
    outcomes = asked(port, [RIGHT, RESET, SILENT, OTHER, BUSY, LAST, RIGHT])
    assert by_status(outcomes) == {
        "200": 2, "connection lost": 1, "unanswered": 1, "wrong answer": 1, "503": 1, "504": 1,
    }  # fmt: skip
    assert outcomes.status[[0, 6]].tolist() == [200, 200]
    assert outcomes.retry_after.tolist() == [False] * 4 + [True] + [False] * 2


def test_a_request_leaves_although_earlier_ones_are_unanswered(port: int) -> None:
    outcomes = asked(port, [SILENT] * 100 + [RIGHT], Limits(opened=1, patience_s=2.0))
    assert by_status(outcomes) == {"unanswered": 100, "200": 1}


def test_no_more_are_out_than_the_bound_and_the_rest_is_told(port: int) -> None:
    outcomes = asked(port, [SILENT] * 30, Limits(outstanding=20, opened=1, patience_s=0.2))
    assert by_status(outcomes) == {"unsent": 10, "unanswered": 20}
    assert validity(outcomes, 1.0).short is not None


def test_a_generator_that_was_held_up_says_so_and_counts_from_when_a_request_was_due(port: int) -> None:
    looks = iter(range(1_000_000))

    def held_up() -> float:
        # After some looks at the clock, half a second is gone at once.
        return time.monotonic() + (0.5 if next(looks) > 100 else 0.0)

    outcomes = asked(port, [RIGHT] * 200, Limits(patience_s=5), held_up)
    assert by_status(outcomes) == {"200": 200}
    late = outcomes.sent - outcomes.due
    assert late.max() > 0.3
    assert outcomes.took[late.argmax()] >= late.max()
    problem = validity(outcomes, 0.05).problem
    assert problem is not None
    assert "late" in problem


def test_a_load_that_is_told_to_stop_sends_no_more(port: int) -> None:
    looks = iter(range(1_000_000))
    outcomes = asked(port, [RIGHT] * 1_000, stop=lambda: next(looks) > 5)
    assert len(outcomes) < 1_000
    assert set(by_status(outcomes)) <= {"200"}


def test_who_would_not_wait_for_the_last_answers_does_not(port: int) -> None:
    client = Client(port, [[Word(SILENT)]], Limits(patience_s=60.0))

    def leave() -> bool:
        if client._out:
            client._columns.stop(at_once=True)
        return False

    outcomes = client.open_loop(np.arange(100) / 1e3, stop=leave)
    client.close()
    assert set(by_status(outcomes)) == {"unanswered"}
    assert len(outcomes) < 100
    assert np.isnan(outcomes.ended).all()


def test_callers_who_wait_ask_so_often_and_never_more_at_once(port: int) -> None:
    client = Client(port, [[Word(RIGHT)]], Limits(outstanding=4))
    outcomes = client.closed_loop(4, 10.0, most=500)
    client.close()
    assert by_status(outcomes) == {"200": 500}
    assert client.connections == 4


def test_a_connection_that_a_right_answer_closes_is_not_asked_again(port: int) -> None:
    assert by_status(asked(port, [LEAVING] * 50, Limits(opened=1, patience_s=20))) == {"200": 50}


def test_what_nobody_asked_for_answers_no_later_request(port: int) -> None:
    assert by_status(asked(port, [TWICE] * 50, Limits(opened=1, patience_s=20))) == {"200": 50}


def test_an_answer_without_an_end_takes_no_more_memory_than_is_permitted(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.generator.client._MOST_ANSWER", 1_000)
    assert by_status(asked(port, [LONG, RIGHT])) == {"connection lost": 1, "200": 1}


def test_many_answers_without_an_end_take_no_more_memory_together_than_is_permitted(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.generator.client._MOST_KEPT", 20_000)
    client = Client(port, [[Word(LONG)] * 10], Limits(patience_s=0.3))
    # Five thousand bytes and a head each: three are kept, and are given up at the end.
    found = by_status(client.open_loop(np.arange(10) / 1e3))
    assert found == {"connection lost": 7, "unanswered": 3}
    assert client._kept == 0
    client.close()


@pytest.mark.parametrize(("want", "said"), [(errno.EADDRNOTAVAIL, "unsent"), (errno.ECONNREFUSED, "connection lost")])
def test_what_this_machine_has_no_socket_for_is_not_the_server_s_doing(
    port: int, monkeypatch: pytest.MonkeyPatch, want: int, said: str
) -> None:
    client = Client(port, [[Word(SILENT)]], Limits(opened=1, patience_s=0.1))

    connect, left = client._connect, [1]

    def connect_once() -> Any:
        if not left:
            raise OSError(want, "none")
        left.clear()
        return connect()

    monkeypatch.setattr(client, "_connect", connect_once)
    outcomes = client.open_loop(np.arange(5) / 1e3)
    assert by_status(outcomes) == {"unanswered": 1, said: 4}
    assert client.without_socket == (4 if said == "unsent" else 0)
    client.close()


def test_a_generator_that_reads_too_slowly_says_so(port: int) -> None:
    client = Client(port, [[Word(RIGHT)]], Limits(read_late_s=0.001))
    client.notice = lambda *_: time.sleep(0.003)
    outcomes = client.open_loop(np.arange(300) / 1e3)
    client.close()
    assert by_status(outcomes) == {"200": 300}
    assert client.read_late > 100


def test_a_server_of_ipv6_can_be_asked() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        client = Client(("::1", listener.getsockname()[1]), [[Word(SILENT)]], Limits(opened=1, patience_s=0.1))
        assert by_status(client.open_loop(np.zeros(1))) == {"unanswered": 1}
        client.close()
