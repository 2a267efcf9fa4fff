"""The reader of a features store, whatever the store is made of: one node, a node that Sentinels know, or a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from serving.features.feast.hash_row import HashRow
from serving.features.feature_status import FeatureObserver
from serving.features.store.cluster_nodes import ClusterNodes
from serving.features.store.cluster_reader import ClusterReader
from serving.features.store.feature_reader import FeatureReader
from serving.features.store.node_reader import NodeReader, ReaderOptions
from serving.features.store.redis_node import RedisNode, node_at
from serving.features.store.sentinels import Sentinels
from serving.features.store.store_address import parse_store


def feature_reader(
    url: str,
    observer: FeatureObserver,
    options: ReaderOptions | None = None,
    hashes: Mapping[bytes, HashRow] | None = None,
) -> FeatureReader:
    """Reads from the store at `url`; nothing stands between a request and a single node.

    `hashes` are the views that Feast keeps (`feast.hash_row.hash_rows`).

    Raises:
        ConfigInvalid: no such URL.
    """
    store = parse_store(url)
    options = options or ReaderOptions()
    hashes = hashes or {}
    make = partial(NodeReader, observer=observer, options=options, hashes=hashes)
    if store.kind == "cluster":
        return ClusterReader(ClusterNodes(store, make), observer, options, hashes)
    if store.kind == "sentinel":
        sentinels = Sentinels(store)
        return make(RedisNode(store.service, sentinels.open_master, sentinels.follow))
    return make(node_at(store.node))
