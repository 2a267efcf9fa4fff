"""Who waits for which rows: requests of one turn of the loop, and the reads that they share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from serving.features.cached_rows import CachedRows

Then = Callable[[Sequence[Any], Any], None]


class Ready:
    """Requests that need no read, and the keys of each."""

    __slots__ = ("keys", "who")

    def __init__(self) -> None:
        self.who: list[Any] = []
        self.keys: list[Collection[bytes]] = []


class Turn:
    """What requests of one turn of the loop find; `ready` are those that need no read, by what is to be called.

    `pending` are the others, `held` those of them whose reads came before the turn was over. `written` are keys of
    which the server told before that: who asked in the turn may have seen the write being answered, and is given no
    older row.
    """

    __slots__ = ("found", "held", "now", "pending", "ready", "written")

    def __init__(self, now: float) -> None:
        self.now = now
        self.found = CachedRows()
        self.ready: dict[Then, Ready] = {}
        self.pending: list[Pending] = []
        self.written: set[bytes] = set()
        self.held: list[Pending] = []

    def add(self, who: object, then: Then, keys: Collection[bytes]) -> None:
        """A request that needs no read."""
        ready = self.ready.get(then)
        if ready is None:
            ready = self.ready[then] = Ready()
        ready.who.append(who)
        ready.keys.append(keys)

    def take_written(self) -> set[bytes]:
        """What was written, of which nothing is found from now on; whoever was told already keeps what it was given."""
        written, self.written = self.written, set()
        found = CachedRows()
        found.update({key: row for key, row in self.found.items() if key not in written})
        found.outdated = self.found.outdated - written
        self.found = found
        return written


class Pending:
    """One request of `keys` that waits for `left` reads, of `reading` keys together."""

    __slots__ = ("keys", "left", "reading", "then", "turn", "who")

    def __init__(self, who: object, then: Then, turn: Turn, keys: Collection[bytes]) -> None:
        self.who = who
        self.then = then
        self.turn = turn
        self.keys = keys
        self.reading = 0
        self.left = 0


class Load:
    """What one request, or nobody, asks of the store; later requests that want one of its `keys` have `joined` it.

    One for each request, so that it is answered by one read, whose command was sent after all of it was asked for.
    """

    __slots__ = ("began", "joined", "keys", "left_out", "turn", "waiting")

    def __init__(self, turn: Turn, keys: list[bytes]) -> None:
        self.turn = turn
        self.began = turn.now
        self.keys = keys
        self.waiting: list[Pending] = []
        self.joined: list[tuple[Pending, bytes]] = []
        self.left_out: set[bytes] | None = None

    def leave_out(self, key: bytes, turns: Sequence[Turn]) -> None:
        """Requests of these turns take no row of this key from it: it may have been sent before the key was written."""
        if self.turn in turns:
            self.left_out = {key} if self.left_out is None else self.left_out | {key}
        self.joined = [(who, wanted) for who, wanted in self.joined if wanted != key or who.turn not in turns]
