"""How long a write takes to be told to whoever keeps rows near, and whether it is told at all."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from serving.errors import ServingError, Unavailable
from serving.features.cache.write_listener import ListenerOptions, WriteListener
from serving.features.health.read_bench import percentiles
from serving.features.store.redis_address import RedisAddress
from serving.features.store.redis_connection import RedisConnection, connect
from serving.features.store.sentinels import Sentinels
from serving.features.store.slot_map import shards_of, slot_of
from serving.features.store.store_address import StoreAddress, parse_store
from serving.features.store.tls_failure import in_words

# Beside rows, so that gateways hear nothing of it; what is left behind by who is killed ends by itself.
PREFIX = b"sluice:bench:"
_EXPIRES_MS = b"10000"
_PATIENCE_S = 2.0
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Telling:
    """From the moment before a write is sent to that in which it was told on another connection; `why_not` where the
    server does not tell, or nobody may write.
    """

    writes: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    why_not: str = ""


class _Heard:
    """What the listener is told of one key."""

    def __init__(self) -> None:
        self.trusted = False
        self.told = asyncio.Event()
        self.told_at = 0.0

    def invalidate(self, keys: Sequence[bytes]) -> None:  # noqa: ARG002 - only one is listened to
        """It was written."""
        self.told_at = time.perf_counter()
        self.told.set()

    def flush(self) -> None:
        """Somebody else's doing."""

    def trust(self, *, heard: bool) -> None:
        """Writes are told from now on, or not any more."""
        self.trusted = heard


def timed_telling(url: str, spend_s: float) -> Telling:
    """Write a key of its own again and again for so long; never raises for what the server does."""
    return asyncio.run(_told(parse_store(url), spend_s))


async def _told(store: StoreAddress, spend_s: float) -> Telling:
    key = PREFIX + secrets.token_hex(8).encode()
    try:
        return await _timed(await _home(store, key), key, spend_s)
    except (OSError, ServingError) as error:
        return Telling(why_not=in_words(error))
    except TimeoutError:
        return Telling(why_not=f"a write was not told within {_PATIENCE_S:g} s")


async def _home(store: StoreAddress, key: bytes) -> RedisAddress:
    """The server that this key is written to."""
    if store.kind == "node":
        return store.node
    if store.kind == "sentinel":
        return store.at(*await Sentinels(store).master())
    asked = await connect(store.node)
    try:
        shards = shards_of(await asked.ask(b"CLUSTER", b"SLOTS"), store.node.host)
    finally:
        asked.abort("it was asked")
    slot = slot_of(key)
    masters = [shard.master for shard in shards if shard.first <= slot <= shard.last]
    if not masters:
        raise Unavailable(f"no node of the cluster has slot {slot}")
    return store.at(*masters[0])


async def _timed(home: RedisAddress, key: bytes, spend_s: float) -> Telling:
    heard = _Heard()
    listener = WriteListener(home, [key], heard, ListenerOptions(silence_s=_PATIENCE_S))
    await listener.start()
    try:
        if not heard.trusted:
            return Telling(why_not="the server does not tell of writes (CLIENT TRACKING)")
        writer = await connect(home)
        try:
            return await _written(writer, heard, key, spend_s)
        finally:
            writer.abort("it was measured")
    finally:
        await listener.stop()


async def _written(writer: RedisConnection, heard: _Heard, key: bytes, spend_s: float) -> Telling:
    took: list[float] = []
    left_s = spend_s
    while len(took) < _WARM_UP or left_s > 0:
        heard.told.clear()
        began = time.perf_counter()
        async with asyncio.timeout(_PATIENCE_S):
            await writer.ask(b"SET", key, b"1", b"PX", _EXPIRES_MS)
            await heard.told.wait()
        took.append(heard.told_at - began)
        if len(took) > _WARM_UP:
            left_s -= took[-1]
    heard.told.clear()
    await writer.ask(b"DEL", key)
    measured = took[_WARM_UP:]
    p50, p99 = percentiles(measured)
    return Telling(len(measured), p50 * 1000, p99 * 1000)
