"""Looking before sleeping: only where batches come close together, and one thread at a time."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from serving.pool.looking import Looking, Turn

MOMENT_S = 0.25


class Clock:
    """Moves on by a part of the moment whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += MOMENT_S / 8
        return self.now


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def looking(turn: Turn, slept_s: float) -> Looking:
    found = Looking(MOMENT_S, turn, Clock())
    found.waited(slept_s)
    return found


def test_bytes_that_are_there_are_found_and_stay_there(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"next")
    assert looking(Turn(), 0.0).finds(ours)
    assert ours.recv(10) == b"next"


def test_after_a_moment_without_any_it_gives_up(ends: tuple[socket.socket, socket.socket]) -> None:
    turn = Turn()
    assert not looking(turn, 0.0).finds(ends[0])
    assert not turn.held.locked()


def test_where_batches_come_far_apart_nobody_looks(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"next")
    assert not looking(Turn(), 5 * MOMENT_S).finds(ours)


def test_while_another_one_looks_nobody_else_does(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"next")
    turn = Turn()
    with turn.held:
        assert not looking(turn, 0.0).finds(ours)
    assert looking(turn, 0.0).finds(ours)


def test_a_peer_that_closed_is_left_to_the_reader(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()
    assert not looking(Turn(), 0.0).finds(ours)


def test_a_moment_of_nothing_never_looks(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"next")
    off = Looking(0.0, Turn(), Clock())
    off.waited(0.0)
    assert not off.finds(ours)


def test_after_many_rows_it_sleeps_at_once_and_after_few_it_looks_again(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    theirs.sendall(b"next")
    found = looking(Turn(), 0.0)
    found.answered(1)
    found.answered(9)
    assert not found.finds(ours)
    found.answered(8)
    assert found.finds(ours)


def test_while_batches_of_two_gateways_come_in_turn_nobody_looks(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"next")
    turn = Turn()
    one, other = looking(turn, 0.0), looking(turn, 0.0)
    one.answered(1)
    other.answered(1)
    assert not other.finds(ours)
    one.answered(1)
    assert not one.finds(ours)
    one.answered(1)
    assert one.finds(ours)
