"""Who is in a pool, as the pool's client follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from serving.state.member import Member


class Members(Protocol):
    """The members of one pool; called and calling on the loop's thread."""

    def current(self) -> tuple[Member, ...]:
        """Members that take batches."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever `current` may answer differently."""

    def failed(self, replica: str) -> None:
        """Its connection failed; whether it leaves is decided by the listing."""


class StaticMembers:
    """Members that somebody wrote down; `replace` changes them."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self._members = tuple(members)
        self._callbacks: list[Callable[[], None]] = []

    def current(self) -> tuple[Member, ...]:
        """The members last written down."""
        return self._members

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every `replace`."""
        self._callbacks.append(callback)

    def failed(self, replica: str) -> None:
        """Written down is written down."""

    def replace(self, members: Iterable[Member]) -> None:
        """These are the members from now on."""
        self._members = tuple(members)
        for callback in self._callbacks:
            callback()
