"""The kinds of transforms that an input may be made of, each with what it takes and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from serving.features.transforms import numeric, words
from serving.features.transforms.numeric import Numbers

Part = Literal["hour", "weekday"]


class Transform(Protocol):
    """A declared transform. Operands are numbers, or words where it says so, one sequence for each of `columns`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What it is made of: `view.feature` or `request.field`."""

    @property
    def names(self) -> tuple[str, ...]:
        """What its outputs are called, one for each column that the model gets."""

    @property
    def takes_words(self) -> bool:
        """Its operands are text or whole numbers, else numbers."""

    @property
    def results(self) -> Sequence[float] | None:
        """Every number that it may give; None where that is any number."""

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """Its outputs, a column each, over all rows at once."""


@dataclass(frozen=True, slots=True)
class Cyclic:
    """Sine and cosine; of a number with a period, or of the hour or weekday of seconds since 1970."""

    columns: tuple[str, ...]
    period: float
    part: Part | None = None
    utc_offset_h: float = 0.0
    takes_words: bool = False
    results: Sequence[float] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """See `Transform.names`."""
        stem = f"cyclic({self.columns[0]}{', ' + self.part if self.part else ''})"
        return f"{stem}.sin", f"{stem}.cos"

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """See `Transform.apply`."""
        values = operands[0]
        if self.part == "hour":
            values = numeric.hour_of_day(values, self.utc_offset_h)
        elif self.part == "weekday":
            values = numeric.weekday(values, self.utc_offset_h)
        return numeric.cyclic(values, self.period)


@dataclass(frozen=True, slots=True)
class Log:
    """The natural logarithm of x, or of 1 + x."""

    columns: tuple[str, ...]
    plus_one: bool
    takes_words: bool = False
    results: Sequence[float] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """See `Transform.names`."""
        return (f"{'log1p' if self.plus_one else 'log'}({self.columns[0]})",)

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """See `Transform.apply`."""
        return ((numeric.log1p if self.plus_one else numeric.log)(operands[0]),)


@dataclass(frozen=True, slots=True)
class Clip:
    """Nothing below `low` or above `high`."""

    columns: tuple[str, ...]
    low: float | None
    high: float | None
    takes_words: bool = False
    results: Sequence[float] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """See `Transform.names`."""
        return (f"clip({self.columns[0]})",)

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """See `Transform.apply`."""
        return (numeric.clip(operands[0], self.low, self.high),)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One column by another."""

    columns: tuple[str, ...]
    otherwise: float
    takes_words: bool = False
    results: Sequence[float] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """See `Transform.names`."""
        return (f"ratio({', '.join(self.columns)})",)

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """See `Transform.apply`."""
        return (numeric.ratio(operands[0], operands[1], self.otherwise),)


@dataclass(frozen=True, slots=True)
class Haversine:
    """Kilometres between two places: latitude, longitude, latitude, longitude in degrees."""

    columns: tuple[str, ...]
    takes_words: bool = False
    results: Sequence[float] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """See `Transform.names`."""
        return (f"haversine({', '.join(self.columns)})",)

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """See `Transform.apply`."""
        latitude, longitude, to_latitude, to_longitude = operands
        return (numeric.haversine(latitude, longitude, to_latitude, to_longitude),)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table from words to numbers; every entry is as long as `otherwise`, which is for words that it lacks."""

    columns: tuple[str, ...]
    table: tuple[tuple[bytes, tuple[float, ...]], ...]
    otherwise: tuple[float, ...]
    takes_words: bool = True
    # Made once: of a table of 100,000 words, for each request, it would hold the loop for milliseconds.
    _by_word: Mapping[bytes, tuple[float, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_word", dict(self.table))

    @property
    def names(self) -> tuple[str, ...]:
        """See `Transform.names`."""
        stem = f"lookup({self.columns[0]})"
        return (stem,) if len(self.otherwise) == 1 else tuple(f"{stem}.{n}" for n in range(len(self.otherwise)))

    @property
    def results(self) -> Sequence[float] | None:
        """See `Transform.results`."""
        return [number for _, entry in (*self.table, (b"", self.otherwise)) for number in entry]

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """See `Transform.apply`."""
        found = words.lookup(operands[0], self._by_word, self.otherwise)
        return [np.ascontiguousarray(column) for column in found.T]


@dataclass(frozen=True, slots=True)
class OneHot:
    """A column for each word: 1 where it is that word, else 0; all 0 for any other word."""

    columns: tuple[str, ...]
    words: tuple[bytes, ...]
    takes_words: bool = True
    results: Sequence[float] | None = (0.0, 1.0)
    _places: Mapping[bytes, tuple[float]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", {word: (float(place),) for place, word in enumerate(self.words)})

    @property
    def names(self) -> tuple[str, ...]:
        """See `Transform.names`."""
        return tuple(f"one_hot({self.columns[0]})={word.decode()}" for word in self.words)

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """See `Transform.apply`."""
        places = words.lookup(operands[0], self._places, (-1.0,))[:, 0]
        return list(words.one_hot(places, len(self.words)).T)


@dataclass(frozen=True, slots=True)
class Hash:
    """The number of a word's bucket, or where they stand apart a column for each bucket."""

    columns: tuple[str, ...]
    buckets: int
    apart: bool = False
    takes_words: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """See `Transform.names`."""
        stem = f"hash({self.columns[0]})"
        return tuple(f"{stem}={number}" for number in range(self.buckets)) if self.apart else (stem,)

    @property
    def results(self) -> Sequence[float] | None:
        """See `Transform.results`: all between them are whole as well."""
        return (0.0, 1.0) if self.apart else (0.0, float(self.buckets - 1))

    def apply(self, operands: Sequence[Any]) -> Sequence[Numbers]:
        """See `Transform.apply`."""
        places = words.bucket(operands[0], self.buckets)
        return list(words.one_hot(places, self.buckets).T) if self.apart else (places,)
