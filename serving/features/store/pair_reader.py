"""Reads rows from one of two nodes that have the same: the other one where the first does not answer, or is late.

A second read after what 95 of 100 reads of the first one take, within a budget (Dean and Barroso, The tail at scale,
2013). A replica may lag behind its master: what it answers may be older by as much.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

from serving.backends.hedging import HedgeBudget
from serving.features.store.feature_reader import Figures
from serving.features.store.node_reader import NodeReader, ReaderOptions
from serving.features.store.reading import Found, Then, told
from serving.features.store.telling import tell
from serving.percentile import followed

Who = TypeVar("Who")

_LATE_SHARE = 0.05
_STEP = 0.05
_AT_ONCE = 0.1


@dataclass(slots=True, eq=False)
class _Asked:
    """Requests of one turn; `parts` are reads of the two nodes that have not ended."""

    waiting: dict[Then, list[Any]] = field(default_factory=dict)
    lots: list[Collection[bytes]] = field(default_factory=list)
    keys: Collection[bytes] = ()
    sent_at: float = 0.0
    parts: int = 0
    both: bool = False
    probe: bool = False
    timer: asyncio.TimerHandle | None = None


class PairReader:
    """A `FeatureReader` over `first` and `second`; without `hedge_share` the second is for when the first is away."""

    def __init__(self, first: NodeReader, second: NodeReader, options: ReaderOptions) -> None:
        self._first = first
        self._second = second
        self._options = options
        self._budget = HedgeBudget(options.hedge_share) if options.hedge_share else None
        # A guess, until reads have been seen.
        self._late_after_s = options.timeout_s / 2
        self._gathered: _Asked | None = None
        # Of this turn: no node counts them yet.
        self._gathered_keys = 0
        # Kept, since a node knows by them who may be told together.
        self._by_first = self._first_came
        self._by_second = self._second_came
        self._hedged = self._wins = 0

    async def start(self) -> None:
        """Begin to connect to both; over once each was tried."""
        await asyncio.gather(self._first.start(), self._second.start())

    async def stop(self) -> None:
        """End both; what is still read is called back as unavailable."""
        await asyncio.gather(self._first.stop(), self._second.stop())

    @property
    def most_keys(self) -> int:
        """More are never read at the same time."""
        return self._first.most_keys

    def has_room(self, keys: int) -> bool:
        """So many more keys may be read now."""
        keys += self._gathered_keys
        return self._first.has_room(keys) and self._second.has_room(keys)

    def figures(self) -> Figures:
        """Of both, with the reads that were made twice."""
        both = {**self._first.figures().nodes, **self._second.figures().nodes}
        return Figures(both, hedged=self._hedged, hedge_wins=self._wins)

    def fetch(self, keys: Collection[bytes], who: Who, then: Callable[[Sequence[Who], Found | None], None]) -> None:
        """Read these keys with all others of this turn from whichever of the two answers; never raises."""
        asked = self._gathered
        if asked is None:
            asked = self._gathered = _Asked()
            asyncio.get_running_loop().call_soon(self._send)
        self._gathered_keys += len(keys)
        asked.lots.append(keys)
        asked.waiting.setdefault(then, []).append(who)

    def _send(self) -> None:
        asked, self._gathered, self._gathered_keys = self._gathered, None, 0
        if asked is None:
            return
        asked.keys = asked.lots[0] if len(asked.lots) == 1 else list(chain.from_iterable(asked.lots))
        asked.sent_at = time.monotonic()
        asked.parts = 1
        if self._second.answers and not self._first.answers:
            asked.both = True
            if self._first.wants_probe:
                # Nobody waits for it, and nothing else would ever find out that it is well again.
                asked.probe = True
                asked.parts += 1
                self._first.fetch(asked.keys, asked, self._by_first)
            self._second.fetch(asked.keys, asked, self._by_second)
            return
        if self._budget is not None:
            self._budget.earn()
            asked.timer = asyncio.get_running_loop().call_later(self._late_after_s, self._hedge, asked)
        self._first.fetch(asked.keys, asked, self._by_first)

    def _hedge(self, asked: _Asked) -> None:
        if self._budget is not None and asked.waiting and self._second.answers and self._budget.spend():
            self._hedged += 1
            self._ask_second(asked)

    def _ask_second(self, asked: _Asked) -> None:
        asked.both = True
        asked.parts += 1
        self._second.fetch(asked.keys, asked, self._by_second)

    def _first_came(self, several: Sequence[_Asked], found: Found | None) -> None:
        now = time.monotonic()
        for asked in several:
            took_s = now - asked.sent_at
            self._late_after_s = followed(self._late_after_s, took_s, _LATE_SHARE, _STEP)
            # Refused or lost at once, nearly all of the time of one read is left for the other.
            at_once = took_s < self._options.timeout_s * _AT_ONCE
            if found is None and at_once and not asked.both and self._second.answers:
                self._ask_second(asked)
            self._ended(asked, found, late=took_s >= self._options.timeout_s)

    def _second_came(self, several: Sequence[_Asked], found: Found | None) -> None:
        for asked in several:
            if found is not None and asked.waiting and asked.parts > 1 and not asked.probe:
                self._wins += 1
            self._ended(asked, found)

    @staticmethod
    def _ended(asked: _Asked, found: Found | None, *, late: bool = False) -> None:
        asked.parts -= 1
        if found is None and asked.parts and not late:
            return
        if asked.timer is not None:
            asked.timer.cancel()
        waiting, asked.waiting = asked.waiting, {}
        tell(told(waiting), found)
