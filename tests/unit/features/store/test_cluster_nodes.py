"""The nodes of a cluster as its map changes, without a server."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from serving.features.store import cluster_nodes
from serving.features.store.cluster_nodes import ClusterNodes, LearningOptions
from serving.features.store.node_reader import NodeReader
from serving.features.store.redis_address import RedisAddress
from serving.features.store.redis_node import RedisNode
from serving.features.store.slot_map import Place
from serving.features.store.store_address import parse_store

STAYS = Place("one", 6379)
WHOLE = [[0, 8_191, [b"one", 6379]], [8_192, 16_383, [b"two", 6379]]]
ALONE = [[0, 16_383, [b"one", 6379]]]


class Node:
    """The first to leave hangs, until its end is cancelled."""

    answers = True

    def __init__(self, name: str, hangs: asyncio.Event) -> None:
        self.name = name
        self.ended = False
        self._hangs = hangs

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        if not self._hangs.is_set():
            self._hangs.set()
            await asyncio.Event().wait()
        self.ended = True


class Cluster:
    """Tells its map to whoever asks."""

    def __init__(self) -> None:
        self.slots: list[list[object]] = WHOLE
        self.nodes: dict[str, Node] = {}
        self.one_leaves = asyncio.Event()

    def make(self, node: RedisNode) -> NodeReader:
        made = self.nodes[node.name] = Node(node.name, self.one_leaves)
        return cast("NodeReader", made)

    async def connect(self, _: RedisAddress) -> Cluster:
        return self

    async def ask(self, *_: bytes) -> object:
        return self.slots

    def abort(self, _: str) -> None:
        return


async def test_a_node_that_is_leaving_has_ended_when_all_have(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    monkeypatch.setattr(cluster_nodes, "connect", cluster.connect)
    options = LearningOptions(calm_s=60, restless_s=60, at_least_s=0, grace_s=0)
    nodes = ClusterNodes(parse_store("redis+cluster://one:6379"), cluster.make, options=options)
    await nodes.start()
    cluster.slots = ALONE
    nodes.moved(9_000, STAYS)
    await cluster.one_leaves.wait()
    await nodes.stop()
    assert {name: node.ended for name, node in cluster.nodes.items()} == {"one:6379": True, "two:6379": True}
