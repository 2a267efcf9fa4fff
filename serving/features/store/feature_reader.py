"""What the request path needs of whatever reads feature rows: one node of a store, a cluster of them, or a cache."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from serving.features.store.reading import Found

Who = TypeVar("Who")


class FeatureReader(Protocol):
    """`fetch` calls back once for everybody who asked, on the loop's thread, in the time of one read at the latest."""

    async def start(self) -> None:
        """Begin to connect; over once that succeeded or failed for the first time. It goes on by itself."""

    async def stop(self) -> None:
        """End tasks and connections; what is still read is called back as unavailable."""

    @property
    def most_keys(self) -> int:
        """More are never read at the same time."""

    def has_room(self, keys: int) -> bool:
        """So many more keys may be read now."""

    def fetch(self, keys: Collection[bytes], who: Who, then: Callable[[Sequence[Who], Found | None], None]) -> None:
        """Read these keys with all others of this turn; never raises.

        `then` gets `who` together with others who asked with the same `then`, and what was found: None where nothing
        answers, and no entry for a key whose part of the store does not answer.
        """


@dataclass(frozen=True, slots=True)
class Figures:
    """What a store's reader tells of itself: nodes by name, with whether reads of them are sent, and counts.

    `redirects` are keys that were on another node of a cluster; `hedged` reads were asked of a second node as well,
    which answered `hedge_wins` of them first.
    """

    nodes: Mapping[str, bool]
    redirects: int = 0
    hedged: int = 0
    hedge_wins: int = 0


class StoreReader(FeatureReader, Protocol):
    """A `FeatureReader` that asks servers, not another reader."""

    def figures(self) -> Figures:
        """How its nodes are now."""
