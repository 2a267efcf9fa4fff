"""The nodes of a Redis Cluster, each with a reader of its own, and which of them has which slot, learned ever again.

Owns one task: it learns the map at once where a key has moved, soon while a node is away (its replica may be taking
over), and now and then in any case.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from serving.errors import ServingError, Unavailable
from serving.features.store.feature_reader import FeatureReader, StoreReader
from serving.features.store.node_reader import NodeReader
from serving.features.store.redis_connection import RedisConnection, connect
from serving.features.store.redis_node import RedisNode
from serving.features.store.slot_map import SLOTS, Place, Shard, shards_of
from serving.features.store.sources import Sources
from serving.features.store.store_address import StoreAddress
from serving.features.store.tls_failure import in_words

log = logging.getLogger(__name__)

MakeReader = Callable[[RedisNode], NodeReader]
# The reader of a shard, made of its master's and of those of its replicas.
Pair = Callable[[NodeReader, Sequence[NodeReader]], StoreReader]


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """Seconds: how long a node may take to tell the map, and how long a map is good."""

    answer_s: float = 0.5
    calm_s: float = 15.0
    restless_s: float = 0.25
    # Thousands of keys of a slot that moves are one reason to learn.
    at_least_s: float = 0.05
    # What is still read from a node that has left.
    grace_s: float = 0.2


class ClusterNodes:
    """`pair` is None where replicas are not read, and then no connection to them is made; those to nodes are among the
    `sources`.
    """

    def __init__(
        self,
        store: StoreAddress,
        make: MakeReader,
        pair: Pair | None = None,
        options: LearningOptions | None = None,
        sources: Sources | None = None,
    ) -> None:
        self._store = store
        self._make = make
        self._pair = pair
        self._options = options or LearningOptions()
        self._sources = sources or Sources()
        self._slots: list[FeatureReader | None] = [None] * SLOTS
        self._nodes: dict[Place, NodeReader] = {}
        self._leaving: list[NodeReader] = []
        self._starting: set[asyncio.Task[None]] = set()
        self._pairs: dict[tuple[NodeReader, ...], StoreReader] = {}
        self._wanted = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""
        # `reader_of(slot)`: looked up for each key, so without a call in between.
        self.reader_of = self._slots.__getitem__
        self.host = store.node.host

    async def start(self) -> None:
        """Begin to learn; over once that succeeded or failed for the first time. It goes on by itself."""
        self._task = asyncio.get_running_loop().create_task(self._keep_learning(), name="cluster of features")
        await self._tried.wait()

    async def stop(self) -> None:
        """End the task and all nodes."""
        tasks = [*self._starting, *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._task = None
        # Nodes whose end was under way were perhaps not ended: the task was cancelled before they were.
        await asyncio.gather(*(node.stop() for node in (*self._nodes.values(), *self._leaving)))
        self._nodes.clear()
        self._leaving.clear()

    def nodes(self) -> Sequence[NodeReader]:
        """All that are known now."""
        return list(self._nodes.values())

    def hedges(self) -> tuple[int, int]:
        """Reads that were asked of a replica as well, and those that it answered first."""
        pairs = [pair.figures() for pair in self._pairs.values()]
        return sum(pair.hedged for pair in pairs), sum(pair.hedge_wins for pair in pairs)

    def at(self, place: Place) -> NodeReader:
        """The node there; one that was not known begins to connect."""
        node = self._nodes.get(place)
        if node is None:
            node = self._nodes[place] = self._make(self._node(place))
            starting = asyncio.get_running_loop().create_task(node.start(), name=f"connecting to {node.name}")
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)
        return node

    def moved(self, slot: int, place: Place) -> None:
        """A node says that another one has this slot."""
        node = self.at(place)
        if self._slots[slot] is not node:
            self._slots[slot] = node
            self._sources.moved()
        self._wanted.set()

    def _node(self, place: Place) -> RedisNode:
        return RedisNode(f"{place.host}:{place.port}", partial(self._open, place), clustered=True)

    async def _open(self, place: Place) -> RedisConnection:
        # For the first time, or since a connection was lost: another node may have its slots soon.
        self._wanted.set()
        connection = await self._sources.connect(self._store.at(*place))
        if self._pair is not None:
            try:
                # A master answers as before; a replica reads its master's slots instead of sending every key there.
                await connection.ask(b"READONLY")
            except BaseException:
                connection.abort("the handshake failed")
                raise
        return connection

    async def _keep_learning(self) -> None:
        while True:
            learned = False
            self._wanted.clear()
            try:
                learned = await self._learn()
            except Exception:
                # Ended here by a defect of ours, a map would stay as it is for ever.
                log.exception("learning the slots of the features cluster failed and goes on")
            finally:
                self._tried.set()
            calm = learned and all(node.answers for node in self._nodes.values())
            await self._pause(self._options.calm_s if calm else self._options.restless_s)

    async def _pause(self, longest_s: float) -> None:
        await asyncio.sleep(self._options.at_least_s)
        # Spread, so that a cluster that comes back is not met by all workers at once.
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s * random.uniform(0.5, 1.0)):  # noqa: S311 - no secret
                await self._wanted.wait()

    async def _learn(self) -> bool:
        why = ""
        for place in self._to_ask():
            try:
                async with asyncio.timeout(self._options.answer_s):
                    shards = await self._asked(place)
            except TimeoutError:
                why = f"{place.host}:{place.port} did not answer within {self._options.answer_s:g} s"
            except (OSError, ServingError) as error:
                why = f"{place.host}:{place.port}: {in_words(error)}"
            else:
                self._complaint = ""
                await self._use(shards)
                return True
        if why != self._complaint:
            self._complaint = why
            log.warning("the features cluster tells nobody which node has which keys (%s)", why)
        return False

    def _to_ask(self) -> list[Place]:
        """Those that answer first, in another order each time; a map from anybody is as good."""
        known = [Place(one.host, one.port) for one in self._store.known]
        places = list(dict.fromkeys((*self._nodes, *known)))
        random.shuffle(places)
        return sorted(places, key=lambda place: place not in self._nodes or not self._nodes[place].answers)

    async def _asked(self, place: Place) -> list[Shard]:
        connection = await connect(self._store.at(*place))
        try:
            shards = shards_of(await connection.ask(b"CLUSTER", b"SLOTS"), place.host)
        finally:
            connection.abort("it was asked")
        if not shards:
            raise Unavailable("it has no slots; has the cluster been created?")
        return shards

    async def _use(self, shards: Sequence[Shard]) -> None:
        before = set(self._nodes)
        readers = [self._reader(shard) for shard in shards]
        if self._starting:
            # A node that has just come is not asked before it can answer, or it was tried.
            await asyncio.wait(self._starting)
        slots: list[FeatureReader | None] = [None] * SLOTS
        for shard, reader in zip(shards, readers, strict=True):
            slots[shard.first : shard.last + 1] = [reader] * (shard.last + 1 - shard.first)
        if slots != self._slots:
            self._slots[:] = slots
            self._sources.moved()
        await self._leave(before - {place for shard in shards for place in (shard.master, *shard.replicas)})

    def _reader(self, shard: Shard) -> FeatureReader:
        master = self.at(shard.master)
        if self._pair is None or not shard.replicas:
            return master
        nodes = (master, *(self.at(place) for place in shard.replicas))
        if nodes not in self._pairs:
            self._pairs[nodes] = self._pair(master, nodes[1:])
        return self._pairs[nodes]

    async def _leave(self, gone: set[Place]) -> None:
        if not gone:
            return
        await asyncio.sleep(self._options.grace_s)
        self._leaving = nodes = [self._nodes.pop(place) for place in gone]
        self._pairs = {several: reader for several, reader in self._pairs.items() if not set(several) & set(nodes)}
        await asyncio.gather(*(node.stop() for node in nodes))
        self._leaving = []
