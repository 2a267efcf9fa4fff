"""Reads rows from a Redis Cluster: each key from the node that has its slot, all within the time of one read.

A node that is lost costs its own slots only: requests of one turn wait together where they need the same nodes, and for
no other. A key that has moved is asked for where it went, and the map of slots is learned anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, TypeVar

from serving.features.feast.hash_row import HashRow, hash_row_of
from serving.features.feature_status import AWAY, FeatureObserver
from serving.features.store.cluster_nodes import ClusterNodes
from serving.features.store.feature_reader import FeatureReader, Figures
from serving.features.store.node_reader import ReaderOptions
from serving.features.store.reading import ClusteredRows, Found, Then, told
from serving.features.store.slot_map import Place, redirect_of, slot_of
from serving.features.store.telling import tell

Who = TypeVar("Who")

# Told apart by their nodes in one turn: 0.5 us each.
_SPLIT_A_TURN = 4_000
# A request of more keys is taken for one that needs every node.
_MOST_LOOKED_AT = 1_000
# A key that is sent on and on is given up.
_MOST_HOPS = 4

_Nodes = frozenset[FeatureReader | None]


@dataclass(slots=True, eq=False)
class _Gathering:
    """Requests of one turn that need the same nodes, and what has come for them so far."""

    waiting: dict[Then, list[Any]] = field(default_factory=dict)
    lots: list[Collection[bytes]] = field(default_factory=list)
    # `asked` keys, of which `unlooked` have not been told apart by their nodes.
    asked: int = 0
    unlooked: int = 0
    keys: Iterator[bytes] = field(default_factory=lambda: iter(()))
    sent: bool = False
    began: float = 0.0
    # Reads of single nodes that have not ended.
    parts: int = 0
    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    answered: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class _Part:
    """What one node is asked for; `hops` counts the redirects on the way there."""

    gathering: _Gathering
    keys: Sequence[bytes]
    hops: int = 0


class ClusterReader:
    """A `FeatureReader` over the nodes of a cluster; `redirects` counts the keys that were somewhere else."""

    def __init__(
        self,
        nodes: ClusterNodes,
        observer: FeatureObserver,
        options: ReaderOptions,
        hashes: Mapping[bytes, HashRow] | None = None,
    ) -> None:
        self._hashes = hashes or {}
        self._nodes = nodes
        self._observer = observer
        self._options = options
        self._gathered: dict[_Nodes, _Gathering] = {}
        self._unsent: deque[_Gathering] = deque()
        self._keys = 0
        # Kept, since a node knows by it who may be told together.
        self._part_came = self._came
        self.redirects = 0

    async def start(self) -> None:
        """Learn which node has which slots; over once that succeeded or failed for the first time."""
        await self._nodes.start()

    async def stop(self) -> None:
        """End tasks and connections; what is still read is called back as unavailable."""
        await self._nodes.stop()
        for gathering in (*self._gathered.values(), *self._unsent):
            self._tell(gathering)
        self._gathered.clear()
        self._unsent.clear()

    @property
    def most_keys(self) -> int:
        """More are never read at the same time."""
        return self._options.most_keys

    def has_room(self, keys: int) -> bool:
        """So many more keys may be read now."""
        return self._keys + keys <= self._options.most_keys

    def figures(self) -> Figures:
        """Of all nodes."""
        hedged, wins = self._nodes.hedges()
        nodes = {node.name: node.answers for node in self._nodes.nodes()}
        return Figures(nodes, self.redirects, hedged, wins)

    def fetch(self, keys: Collection[bytes], who: Who, then: Callable[[Sequence[Who], Found | None], None]) -> None:
        """Read these keys; `then` gets an entry for each whose node answers, and None where none of them does."""
        readers: _Nodes = frozenset()
        if len(keys) <= _MOST_LOOKED_AT:
            readers = frozenset([self._reader_of(key) for key in keys])
        gathering = self._gathered.get(readers)
        if gathering is None:
            if not self._gathered:
                asyncio.get_running_loop().call_soon(self._send)
            gathering = self._gathered[readers] = _Gathering()
        gathering.lots.append(keys)
        gathering.asked += len(keys)
        gathering.unlooked += len(keys)
        gathering.waiting.setdefault(then, []).append(who)
        self._keys += len(keys)

    def _send(self) -> None:
        now = asyncio.get_running_loop().time()
        gathered, self._gathered = self._gathered, {}
        busy = bool(self._unsent)
        for gathering in gathered.values():
            gathering.keys = chain.from_iterable(gathering.lots)
            gathering.began = now
            self._unsent.append(gathering)
        if not busy:
            self._send_some()

    def _send_some(self) -> None:
        """Ask the nodes for as many keys as may be told apart in one turn; the rest has the next one."""
        left = _SPLIT_A_TURN
        while self._unsent and left > 0:
            gathering = self._unsent[0]
            piece = list(islice(gathering.keys, left))
            left -= max(len(piece), 1)
            gathering.unlooked -= len(piece)
            # Held, since a node that is away calls back at once.
            gathering.parts += 1
            self._split(gathering, piece)
            if not gathering.unlooked:
                self._unsent.popleft()
                gathering.sent = True
            self._ended(gathering)
        if self._unsent:
            asyncio.get_running_loop().call_soon(self._send_some)

    def _split(self, gathering: _Gathering, keys: Sequence[bytes]) -> None:
        by_reader: dict[FeatureReader | None, list[bytes]] = {}
        for key in dict.fromkeys(keys):
            by_reader.setdefault(self._reader_of(key), []).append(key)
        for reader, part in by_reader.items():
            if reader is None:
                self._observer.feature_read_failed(AWAY)
                continue
            gathering.parts += 1
            reader.fetch(part, _Part(gathering, part), self._part_came)

    def _reader_of(self, key: bytes) -> FeatureReader | None:
        if self._hashes:
            hash_row = hash_row_of(self._hashes, key)
            if hash_row is not None:
                key = hash_row.name(key)
        return self._nodes.reader_of(slot_of(key))

    def _came(self, parts: Sequence[_Part], found: Found | None) -> None:
        """One node has answered, or not, these parts of several requests."""
        for part in parts:
            if found is not None and part.gathering.waiting:
                self._take(part, found)
            self._ended(part.gathering)

    def _take(self, part: _Part, found: Found) -> None:
        rows = part.gathering.rows
        part.gathering.answered = True
        rows.update({key: found[key] for key in part.keys if key in found})
        if isinstance(found, ClusteredRows) and found.redirected:
            self._follow(part, found.redirected)

    def _follow(self, part: _Part, redirected: dict[bytes, str]) -> None:
        if part.hops >= _MOST_HOPS:
            return
        elsewhere: dict[tuple[Place, bool], list[bytes]] = {}
        for key in part.keys:
            redirect = redirect_of(redirected.get(key, ""), self._nodes.host)
            if redirect is None:
                continue
            self.redirects += 1
            if not redirect.asking:
                self._nodes.moved(redirect.slot, redirect.place)
            elsewhere.setdefault((redirect.place, redirect.asking), []).append(key)
        for (place, asking), keys in elsewhere.items():
            self._limit(part.gathering)
            part.gathering.parts += 1
            node = self._nodes.at(place)
            (node.fetch_moving if asking else node.fetch)(
                keys, _Part(part.gathering, keys, part.hops + 1), self._part_came
            )

    def _limit(self, gathering: _Gathering) -> None:
        """Reads of one node end in time by themselves; one after the other they would take their time twice."""
        if gathering.timer is None:
            loop = asyncio.get_running_loop()
            due = gathering.began + self._options.timeout_s
            gathering.timer = loop.call_later(max(due - loop.time(), 0.0), self._tell, gathering)

    def _ended(self, gathering: _Gathering) -> None:
        gathering.parts -= 1
        if gathering.parts or not gathering.sent:
            return
        self._keys -= gathering.asked
        if gathering.timer is not None:
            gathering.timer.cancel()
        self._tell(gathering)

    def _tell(self, gathering: _Gathering) -> None:
        answered = gathering.answered or not gathering.asked
        tell(told(gathering.waiting), gathering.rows if answered else None)
        gathering.waiting = {}
