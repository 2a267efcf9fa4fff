"""The reader of a features store, whatever the store is made of: one node, a node that Sentinels know, or a cluster."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from serving.features.feast.hash_row import HashRow
from serving.features.feature_status import FeatureObserver
from serving.features.store.cluster_nodes import ClusterNodes
from serving.features.store.cluster_reader import ClusterReader
from serving.features.store.feature_reader import StoreReader
from serving.features.store.node_reader import NodeReader, ReaderOptions
from serving.features.store.pair_reader import PairReader
from serving.features.store.redis_connection import RedisConnection
from serving.features.store.redis_node import RedisNode, node_at, place
from serving.features.store.replica_of import open_replica_of
from serving.features.store.sentinels import Sentinels
from serving.features.store.sources import Sources
from serving.features.store.store_address import parse_store


def feature_reader(
    url: str,
    observer: FeatureObserver,
    options: ReaderOptions | None = None,
    hashes: Mapping[bytes, HashRow] | None = None,
    sources: Sources | None = None,
) -> StoreReader:
    """Reads from the store at `url`; nothing stands between a request and a single node.

    `hashes` are the views that Feast keeps (`feast.hash_row.hash_rows`); `sources` come to be what is read.

    Raises:
        ConfigInvalid: no such URL.
    """
    store = parse_store(url)
    options = options or ReaderOptions()
    hashes = hashes or {}
    sources = sources or Sources()
    make = partial(NodeReader, observer=observer, options=options, hashes=hashes)
    replicas = store.from_replica or options.hedge_share > 0

    def pair(master: NodeReader, others: Sequence[NodeReader]) -> StoreReader:
        # Workers choose for themselves, so that replicas share the load.
        replica = random.choice(others)  # noqa: S311 - no secret
        first, second = (replica, master) if store.from_replica else (master, replica)
        return PairReader(first, second, options)

    if store.kind == "cluster":
        nodes = ClusterNodes(store, make, pair if replicas else None, sources=sources)
        return ClusterReader(nodes, observer, options, hashes)
    sentinels = Sentinels(store, sources=sources)
    name = place(store.node)
    open_replica: Callable[[], Awaitable[RedisConnection]] = partial(open_replica_of, store, sources)
    master = make(node_at(store.node, sources.connect))
    if store.kind == "sentinel":
        name, open_replica = store.service, sentinels.open_replica
        master = make(RedisNode(name, sentinels.open_master, sentinels.follow))
    if not replicas:
        return master
    return pair(master, [make(RedisNode(f"a replica of {name}", open_replica))])
