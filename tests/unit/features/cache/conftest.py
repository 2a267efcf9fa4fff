"""A cached reader on a store that answers when the test lets it, and clocks that stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest

from serving.features.cache.cached_reader import CachedReader
from serving.features.cache.lifetime import Lifetime
from serving.features.store.reading import Found, Then

PLANE = b"sluice:f:plane:"
A, B, C = PLANE + b"1:A", PLANE + b"1:B", PLANE + b"1:C"


class Store:
    """Reads wait until they are `taken` (the server looks) and `answered` (its reply is here), in their order."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.away = False
        self.room = True
        self.most_keys = 100_000
        self.asked: list[list[bytes]] = []
        self._sent: list[tuple[list[bytes], object, Then]] = []
        self._taken: list[tuple[dict[bytes, bytes | None], object, Then]] = []

    async def start(self) -> None:
        """It is there."""

    async def stop(self) -> None:
        """It stays there."""

    def has_room(self, keys: int) -> bool:
        return self.room

    def fetch(self, keys: Collection[bytes], who: object, then: Then) -> None:
        self.asked.append(list(keys))
        if self.away:
            then((who,), None)
        else:
            self._sent.append((list(keys), who, then))

    @property
    def sent(self) -> int:
        return len(self._sent)

    @property
    def taken(self) -> int:
        return len(self._taken)

    def takes(self) -> None:
        keys, who, then = self._sent.pop(0)
        self._taken.append(({key: self.rows.get(key) for key in keys}, who, then))

    def answers(self) -> None:
        found, who, then = self._taken.pop(0)
        then((who,), found)

    def fails(self) -> None:
        """The reads that were taken are late, or their connection is lost."""
        for _, who, then in self._taken:
            then((who,), None)
        self._taken.clear()

    def answers_all(self) -> None:
        while self._sent:
            self.takes()
        while self._taken:
            self.answers()


class Bench:
    """`told` is what each who asked was told, with the keys of what is outdated."""

    def __init__(self, lifetime: Lifetime, most_bytes: int = 1_000_000) -> None:
        self.store = Store()
        self.time = 1_000.0
        self.draw = 0.5
        self.told: dict[object, Found | None] = {}
        self.lots: list[int] = []
        lifetimes = {PLANE: lifetime}
        self.reader = CachedReader(self.store, most_bytes, lifetimes, lambda: self.time, lambda: self.draw)
        self.reader.trust(heard=True)

    def asks(self, who: object, *keys: bytes) -> None:
        self.reader.fetch(keys, who, self.tell)

    def tell(self, several: Sequence[object], found: Found | None) -> None:
        self.lots.append(len(several))
        for who in several:
            assert who not in self.told, "told twice"
            self.told[who] = None if found is None else dict(found)

    async def turns(self) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def reads(self, who: object, *keys: bytes) -> Found | None:
        """Ask, let the store answer what it is asked, and say what was told."""
        self.asks(who, *keys)
        self.store.answers_all()
        await self.turns()
        found = self.told.pop(who)
        return None if found is None else {key: found[key] for key in keys if key in found}


@pytest.fixture
def bench() -> Bench:
    return Bench(Lifetime(60.0, 600.0, 5.0))
