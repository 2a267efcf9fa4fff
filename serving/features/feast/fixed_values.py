"""Floats of a whole row at once, where each is there: three operations on bytes instead of one for each value."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Self

from serving.features.feast.value import DOUBLE, FLOAT

_FORMS = {FLOAT: ("f", 5), DOUBLE: ("d", 9)}


class FixedValues:
    """Rows whose values have the tags of one row that was seen: Feast writes a feature as one type."""

    def __init__(self, tags: Sequence[int]) -> None:
        self._tags = tuple(tags)
        self._sizes = [_FORMS[tag][1] for tag in tags]
        self._unpack = Struct("<" + "".join("B" + _FORMS[tag][0] for tag in tags)).unpack

    @classmethod
    def like(cls, values: Sequence[bytes]) -> Self | None:
        """For rows like this one; None where a value is no float."""
        tags = [value[0] if value else 0 for value in values]
        return cls(tags) if all(tag in _FORMS for tag in tags) else None

    def numbers(self, values: Sequence[bytes]) -> Sequence[float] | None:
        """The numbers; None for a row of another form, and for one with a NaN, which is looked at value by value."""
        # Each length by itself: their sum may fit where single values do not, and would shift those behind.
        if list(map(len, values)) != self._sizes:
            return None
        parts = self._unpack(b"".join(values))
        if parts[::2] != self._tags:
            return None
        numbers = parts[1::2]
        total = sum(numbers)
        return numbers if total == total else None  # noqa: PLR0124 - NaN is not itself
