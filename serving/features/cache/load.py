"""Who waits for which rows: requests of one turn of the loop, and the reads that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from serving.features.cached_rows import CachedRows

Then = Callable[[Sequence[Any], Any], None]


class Turn:
    """What requests of one turn of the loop find; `ready` are those that need no read, by what is to be called."""

    __slots__ = ("found", "now", "ready")

    def __init__(self, now: float) -> None:
        self.now = now
        self.found = CachedRows()
        self.ready: dict[Then, list[Any]] = {}


class Pending:
    """One request that waits for `left` reads, of `keys` keys together."""

    __slots__ = ("keys", "left", "then", "turn", "who")

    def __init__(self, who: object, then: Then, turn: Turn, keys: int) -> None:
        self.who = who
        self.then = then
        self.turn = turn
        self.keys = keys
        self.left = 0


class Load:
    """What one request, or nobody, asks of the store; later requests that want one of its `keys` have `joined` it.

    One for each request, so that it is answered by one read, whose command was sent after all of it was asked for.
    """

    __slots__ = ("began", "joined", "keys", "turn", "waiting")

    def __init__(self, turn: Turn, keys: list[bytes]) -> None:
        self.turn = turn
        self.began = turn.now
        self.keys = keys
        self.waiting: list[Pending] = []
        self.joined: list[tuple[Pending, bytes]] = []
