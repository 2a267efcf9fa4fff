"""Gives each hosted version the short number under which the tensor stream names it."""

from __future__ import annotations

from collections.abc import Mapping

from serving.inference import Hosted, VersionKey

_NUMBERS = 2**16


class SlotNumbers:
    """A version keeps its number while it is hosted unchanged; a number given back is the last to be given again.

    A gateway may still send batches under a number that it has not yet heard to be gone: they must meet nothing else.
    """

    def __init__(self) -> None:
        self._numbered: dict[int, Hosted] = {}
        self._next = 0

    def assign(self, catalogue: Mapping[VersionKey, Hosted]) -> dict[int, Hosted]:
        """The numbers of exactly these versions."""
        kept = {number: hosted for number, hosted in self._numbered.items() if catalogue.get(hosted.key) == hosted}
        known = {hosted.key for hosted in kept.values()}
        for key, hosted in catalogue.items():
            if key not in known:
                kept[self._unused(kept)] = hosted
        self._numbered = kept
        return dict(kept)

    def _unused(self, taken: Mapping[int, Hosted]) -> int:
        while self._next in taken:
            self._next = (self._next + 1) % _NUMBERS
        number = self._next
        self._next = (number + 1) % _NUMBERS
        return number
