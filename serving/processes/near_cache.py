"""Puts the near cache of a gateway worker together: rows in front of the reader, a listener beside it, its figures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.features.cache.cached_reader import CachedReader
from serving.features.cache.hash_telling import HashTelling
from serving.features.cache.lifetime import Lifetime
from serving.features.cache.write_listener import WriteListener
from serving.features.cache.write_listeners import WriteListeners
from serving.features.feature_view import FeatureView
from serving.features.keys import PREFIX, prefix
from serving.features.store.feature_reader import FeatureReader
from serving.features.store.sources import Sources
from serving.features.store.store_address import StoreAddress
from serving.telemetry.catalogue import (
    CACHE_BYTES,
    CACHE_EVICTIONS,
    CACHE_HEARD,
    CACHE_INVALIDATIONS,
    CACHE_LOOK_UPS,
    CACHE_REFRESHES,
    CACHE_ROWS,
    CACHE_TOLD_WITHIN,
)
from serving.telemetry.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the rows of these views are; `sources` None: all on one server, which is always there."""

    store: StoreAddress
    views: Sequence[FeatureView]
    sources: Sources | None = None


class NearCacheOfWorker:
    """`reader` is for the request path; starts and ends what the cache needs."""

    def __init__(
        self, stored: Stored, reader: FeatureReader, most_bytes: int, lifetimes: Mapping[bytes, Lifetime]
    ) -> None:
        self.reader = CachedReader(reader, most_bytes, lifetimes, time.monotonic)
        self._listener = _listener(stored, self.reader, lifetimes)

    async def start(self) -> None:
        """Over once both connections succeeded or failed for the first time."""
        await self.reader.start()
        if self._listener is not None:
            await self._listener.start()

    async def stop(self) -> None:
        """End tasks and connections."""
        if self._listener is not None:
            await self._listener.stop()
        await self.reader.stop()

    def tell(self, recorder: Recorder) -> None:
        """The figures as they stand now."""
        counts, cache = self.reader.counts, self.reader.cache
        for outcome, number in (
            ("hit", counts.hits),
            ("negative", counts.negatives),
            ("refreshing", counts.refreshing),
            ("joined", counts.joined),
            ("miss", counts.misses),
            ("stale", counts.outdated),
        ):
            recorder.counted(CACHE_LOOK_UPS, (outcome,), number)
        recorder.counted(CACHE_REFRESHES, (), counts.refreshes)
        recorder.counted(CACHE_INVALIDATIONS, ("row",), counts.invalidations)
        recorder.counted(CACHE_INVALIDATIONS, ("all",), counts.flushes)
        recorder.counted(CACHE_EVICTIONS, (), cache.evictions)
        recorder.measured(CACHE_ROWS, (), len(cache.entries))
        recorder.measured(CACHE_BYTES, (), cache.used_bytes)
        if self._listener is not None:
            recorder.measured(CACHE_HEARD, (), float(self.reader.heard))
            if self._listener.told_within_s is not None:
                recorder.measured(CACHE_TOLD_WITHIN, (), self._listener.told_within_s)


def _listener(
    stored: Stored, reader: CachedReader, lifetimes: Mapping[bytes, Lifetime]
) -> WriteListener | WriteListeners | None:
    heard = {start for start, lifetime in lifetimes.items() if lifetime.heard}
    telling = HashTelling([view for view in stored.views if prefix(view) in heard], reader)
    prefixes = [*told_of(lifetimes), *telling.prefixes]
    if not heard:
        return None
    if stored.sources is None:
        return WriteListener(stored.store.node, prefixes, telling)
    return WriteListeners(stored.sources, prefixes, telling)


def told_of(lifetimes: Mapping[bytes, Lifetime]) -> list[bytes]:
    """The prefixes of packed rows whose writes the server is to tell of.

    One for all of ours where none is left out: the server then tells what one command wrote in one message.
    """
    ours = {prefix: lifetime for prefix, lifetime in lifetimes.items() if prefix.startswith(PREFIX)}
    if ours and all(lifetime.heard for lifetime in ours.values()):
        return [PREFIX]
    return [prefix for prefix, lifetime in ours.items() if lifetime.heard]
