"""Reads rows for every request of one turn of the loop at once: one MGET, each key once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from serving.features.feature_status import FeatureObserver

Found = Mapping[bytes, bytes | None]
Then = Callable[[Found | None], None]


class FeatureReader:
    """`fetch` calls back once, on the loop's thread, within `timeout_s`; None is a store that does not answer."""

    def __init__(self, url: str, observer: FeatureObserver, timeout_s: float = 0.05) -> None:
        self._url = url
        self._observer = observer
        self._timeout_s = timeout_s

    async def start(self) -> None:
        """Connect; over once that has succeeded or failed, within a second. It goes on trying by itself."""

    async def stop(self) -> None:
        """End the connection and every task; what is still read is called back with None."""

    def has_room(self, keys: int) -> bool:
        """So many keys more may be read now."""
        return keys >= 0

    def fetch(self, keys: Iterable[bytes], then: Then) -> None:
        """Read these keys; never raises."""
        then(None if keys else {})
