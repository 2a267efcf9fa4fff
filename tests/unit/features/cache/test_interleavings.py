"""Every order in which reads, writes and what the server tells can cross: no old row stays, and none comes back."""

from __future__ import annotations

from collections.abc import Iterator

from serving.features.cache.lifetime import Lifetime
from tests.unit.features.cache.conftest import A, Bench

# What may happen at most so often in one history.
WRITES_AND_READS = {"ask": 3, "write": 1, "turn": 1}
TWO_WRITES = {"ask": 2, "write": 2, "turn": 1}
LOSS = {"ask": 2, "write": 1, "lose": 1, "find": 1}
FLUSH = {"ask": 2, "write": 1, "flush": 1, "turn": 1}


class History:
    """One server, one worker, and what travels between them on two connections."""

    def __init__(self) -> None:
        self.bench = Bench(Lifetime(1e9, 0.0, 1e9))
        self.version = 0
        self.bench.store.rows = {A: b"0"}
        self.heard = True
        self.telling: list[int] = []
        # Whoever asks from now on gets this version, or a later one.
        self.floor = 0
        self.floors: dict[object, int] = {}
        # Who asked in this turn, in which what is told may have come before it.
        self.asking: list[object] = []

    def may(self, left: dict[str, int]) -> Iterator[str]:
        """What can happen next."""
        for what, times in left.items():
            if times and (what != "find" or not self.heard) and (what != "lose" or self.heard):
                yield what
        if self.bench.store.sent:
            yield "take"
        if self.bench.store.taken:
            yield "answer"
        if self.telling:
            yield "told"

    async def happens(self, what: str) -> None:
        store, reader = self.bench.store, self.bench.reader
        if what == "ask":
            who = len(self.floors)
            self.floors[who] = self.floor
            self.asking.append(who)
            self.bench.asks(who, A)
        elif what in ("write", "flush"):
            self.version += 1
            store.rows[A] = b"%d" % self.version
            if self.heard:
                self.telling.append(-self.version if what == "flush" else self.version)
        elif what == "take":
            store.takes()
        elif what == "answer":
            store.answers()
        elif what == "told":
            version = self.telling.pop(0)
            self.floor = max(self.floor, abs(version))
            self.floors |= {who: self.floor for who in self.asking if who not in self.bench.told}
            if version < 0:
                reader.flush()
            else:
                reader.invalidate([A])
        elif what == "lose":
            self.heard = False
            self.telling.clear()
            reader.trust(heard=False)
        elif what == "find":
            self.heard = True
            # No connection is made within a turn.
            self.asking.clear()
            self.floor = self.version
            reader.trust(heard=True)
        else:
            await self.turns()
        self.judge()

    def judge(self) -> None:
        for who, found in self.bench.told.items():
            assert found is not None
            assert int(found[A] or b"-1") >= self.floors[who], "a row older than what was told when it was asked for"

    async def turns(self) -> None:
        self.asking.clear()
        await self.bench.turns()

    async def ends(self) -> None:
        """Everything arrives; then what is known is what is stored."""
        await self.turns()
        while self.telling:
            await self.happens("told")
        self.bench.store.answers_all()
        await self.bench.turns()
        self.judge()
        assert set(self.bench.told) == set(self.floors), "somebody waits for ever"
        if self.heard:
            assert await self.bench.reads("last", A) == {A: b"%d" % self.version}


async def explored(bounds: dict[str, int]) -> int:
    """Every history within the bounds, each from the beginning; how many there are."""
    histories = 0
    ahead: list[tuple[str, ...]] = [()]
    while ahead:
        events = ahead.pop()
        history = History()
        left = dict(bounds)
        for what in events:
            await history.happens(what)
            if what in left:
                left[what] -= 1
        more = list(history.may(left))
        ahead += [(*events, what) for what in more]
        if not more:
            histories += 1
            await history.ends()
    return histories


async def test_writes_and_reads_in_every_order() -> None:
    assert await explored(WRITES_AND_READS) > 500
    assert await explored(TWO_WRITES) > 500


async def test_a_lost_listener_in_every_order() -> None:
    assert await explored(LOSS) > 500


async def test_a_flush_in_every_order() -> None:
    assert await explored(FLUSH) > 500
