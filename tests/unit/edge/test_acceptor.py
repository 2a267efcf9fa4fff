"""A turn of the loop takes all connections that wait, up to a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serving.edge.acceptor import Acceptor


class FakeListener:
    """A listener at which so many wait, as the acceptor sees it."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting

    def accept(self) -> tuple[FakePeer, object]:
        if not self.waiting:
            raise BlockingIOError
        self.waiting -= 1
        return FakePeer(), ("127.0.0.1", 1)


class FakePeer:
    closed = False

    def close(self) -> None:
        self.closed = True


class Made:
    """What the acceptor did with the peers that it took."""

    def __init__(self, *, lost: bool = False) -> None:
        self.peers: list[FakePeer] = []
        self._lost = lost

    async def connect_accepted_socket(self, connection: Callable[[], asyncio.Protocol], peer: FakePeer) -> None:
        self.peers.append(peer)
        await asyncio.sleep(0)
        if self._lost:
            raise ConnectionResetError
        connection()


def patched(made: Made) -> None:
    asyncio.get_running_loop().connect_accepted_socket = made.connect_accepted_socket  # type: ignore[method-assign,assignment]


async def a_turn() -> None:
    await asyncio.sleep(0)


async def test_with_the_first_connection_of_a_turn_others_that_wait_are_taken_up_to_a_bound() -> None:
    made, listener = Made(), FakeListener(100)
    patched(made)
    acceptor = Acceptor(asyncio.Protocol)
    factory = acceptor.of(listener)  # type: ignore[arg-type]
    factory()
    factory()
    await a_turn()
    assert listener.waiting == 68
    await a_turn()
    # The loop's own server accepts the next one, and only then there is another look.
    assert listener.waiting == 68
    factory()
    await a_turn()
    assert listener.waiting == 36
    await acceptor.settled()
    assert len(made.peers) == 64


async def test_whatever_was_taken_has_become_a_connection_once_it_is_settled() -> None:
    begun: list[asyncio.Protocol] = []

    def connection() -> asyncio.Protocol:
        begun.append(asyncio.Protocol())
        return begun[-1]

    patched(Made())
    acceptor = Acceptor(connection)
    acceptor.of(FakeListener(3))()  # type: ignore[arg-type]
    await a_turn()
    assert len(begun) == 1
    await acceptor.settled()
    assert len(begun) == 4


async def test_who_leaves_while_it_is_accepted_costs_nobody_else_anything() -> None:
    made = Made(lost=True)
    patched(made)
    acceptor = Acceptor(asyncio.Protocol)
    acceptor.of(FakeListener(3))()  # type: ignore[arg-type]
    await a_turn()
    await acceptor.settled()
    assert [peer.closed for peer in made.peers] == [True, True, True]
