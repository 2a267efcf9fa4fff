"""How long reads of rows take, by the reader that gateways use, one read after the other."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.errors import FeaturesAway
from serving.features.feast.hash_row import hash_rows
from serving.features.feature_view import FeatureView
from serving.features.store.feature_reader import FeatureReader
from serving.features.store.node_reader import ReaderOptions
from serving.features.store.reading import Found
from serving.features.store.topology import feature_reader
from serving.inference import VersionKey

# Longer than gateways wait: what is slow is measured, not given up.
_PATIENCE_S = 2.0
_WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Timed:
    """So many rows were read at a time."""

    rows: int
    reads: int
    p50_ms: float
    p99_ms: float
    rows_per_s: float


class _Unobserved:
    """The figures are the reads themselves."""

    def feature_values(self, key: VersionKey, variant: str, feature: tuple[str, str], counts: dict[str, int]) -> None:
        """Nobody asks."""

    def feature_read_failed(self, reason: str) -> None:
        """The read is called back with nothing, and the bench ends."""


@dataclass(frozen=True, slots=True)
class Reads:
    """Each line reads so many distinct ones of its keys (or all, where there are fewer) at a time, for `spend_s`.

    `views` are those whose rows they are.
    """

    views: Sequence[FeatureView]
    rows: Sequence[int]
    spend_s: float


def timed(url: str, lots: Sequence[Sequence[bytes]], reads: Reads) -> list[list[Timed]]:
    """Lines for each lot of keys.

    Raises:
        FeaturesAway: a read was not answered.
    """
    return asyncio.run(_all(url, lots, reads))


async def _all(url: str, lots: Sequence[Sequence[bytes]], reads: Reads) -> list[list[Timed]]:
    options = ReaderOptions(timeout_s=_PATIENCE_S, silence_s=_PATIENCE_S)
    reader = feature_reader(url, _Unobserved(), options, hash_rows(reads.views))
    await reader.start()
    try:
        return [
            [await _timed(reader, keys, min(count, len(keys)), reads.spend_s) for count in reads.rows] for keys in lots
        ]
    finally:
        await reader.stop()


async def _timed(reader: FeatureReader, keys: Sequence[bytes], count: int, spend_s: float) -> Timed:
    # The same ones each time, so that two runs may be compared.
    draw = random.Random(count)  # noqa: S311 - which rows are read is no secret
    for _ in range(_WARM_UP):
        await _read(reader, draw.sample(keys, count))
    took: list[float] = []
    # Added up as they come: a sum of all that were measured, before each read, took longer than the reads.
    left_s = spend_s
    while left_s > 0:
        took.append(await _read(reader, draw.sample(keys, count)))
        left_s -= took[-1]
    return summary(count, took)


def summary(rows: int, took_s: Sequence[float]) -> Timed:
    """Percentiles are reads that were measured."""
    p50, p99 = percentiles(took_s)
    return Timed(rows, len(took_s), p50 * 1000, p99 * 1000, rows * len(took_s) / sum(took_s))


def percentiles(took_s: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th of some, which are among them (nearest rank)."""
    ordered = sorted(took_s)
    p50, p99 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99))
    return p50, p99


async def _read(reader: FeatureReader, keys: Sequence[bytes]) -> float:
    answered: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
    began = time.perf_counter()
    tell: Callable[[Sequence[asyncio.Future[Found | None]], Found | None], None] = _tell
    reader.fetch(keys, answered, tell)
    found = await answered
    took = time.perf_counter() - began
    if found is None or len(found) < len(keys):
        raise FeaturesAway(f"the features Redis did not answer a read of {len(keys)} rows within {_PATIENCE_S:.0f} s")
    return took


def _tell(asked: Sequence[asyncio.Future[Found | None]], found: Found | None) -> None:
    for one in asked:
        one.set_result(found)
