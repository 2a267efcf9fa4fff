"""One view's fields of Feast's hashes, asked for with one HMGET and made rows of ours on arrival.

Behind the reader everything sees one form: whole rows, defaults, ages and caches know nothing of Feast. What Feast
leaves to its readers happens there too: a row older than the view's `max_age`, by `_ts:<view>`, is stale.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct, pack
from typing import cast

import mmh3

from serving.features.feast.entity_key import MARK, prefix
from serving.features.feast.feast_source import FeastSource
from serving.features.feast.fixed_values import FixedValues
from serving.features.feast.value import READS, Unreadable, event_time_ms, number
from serving.features.feature_view import DTYPES, Feature, FeatureView
from serving.features.packed import RowLayout

log = logging.getLogger(__name__)

# No row of any view: what is told of a key that holds something else than a hash.
NO_HASH = b""


class HashRow:
    """The rows of one view in Feast's layout."""

    def __init__(self, view: FeatureView, source: FeastSource) -> None:
        self._layout = RowLayout(view)
        self._source = source
        self._skipped = len(prefix(view.name))
        fields = [field_of(source.view, feature.name) for feature in view.features]
        self.fields = (*fields, b"_ts:%b" % source.view.encode())
        # All but the hash's name is the same each time: put together here, a command costs a quarter of packing it.
        self._before = b"*%d\r\n$5\r\nHMGET\r\n" % (len(self.fields) + 2)
        self._after = b"".join(b"$%d\r\n%b\r\n" % (len(field), field) for field in self.fields)
        self._reads = [READS[feature.dtype] for feature in view.features]
        self._floats = {feature.dtype for feature in view.features} <= {"float32", "float64"}
        self._fixed: FixedValues | None = None
        layout = self._layout
        values = "".join(DTYPES[feature.dtype] for feature in view.features)
        self._whole = Struct(f"<{len(layout.head)}sq{len(layout.all_present)}s{values}").pack
        self._told: set[str] = set()

    def name(self, key: bytes) -> bytes:
        """The hash of what is looked up."""
        return key[self._skipped :]

    def command(self, key: bytes) -> bytes:
        """The packed command that reads the row."""
        name = key[self._skipped :]
        return b"%b$%d\r\n%b\r\n%b" % (self._before, len(name), name, self._after)

    def row(self, values: Sequence[bytes | None]) -> bytes | None:
        """The fields as a packed row; None where the hash has none of them.

        A value that cannot be read is absent, and told once in the log; without a time the row is of 1970.
        """
        if values.count(None) == len(values):
            return None
        *several, stamp = values
        event_time = event_time_ms(stamp)
        if self._floats and None not in several:
            row = self._of_floats(cast("list[bytes]", several), event_time)
            if row is not None:
                return row
        try:
            known = [
                None if data is None else number(data, reads) for data, reads in zip(several, self._reads, strict=True)
            ]
        except Unreadable:
            known = [self._readable(place, data) for place, data in enumerate(several)]
        return self._layout.pack_at(known, event_time)

    def _of_floats(self, values: Sequence[bytes], event_time: int) -> bytes | None:
        """A whole row in half the time; None where it is another one."""
        if self._fixed is None:
            self._fixed = FixedValues.like(values)
        numbers = None if self._fixed is None else self._fixed.numbers(values)
        if numbers is None:
            # Feast may write the view in another type since.
            self._fixed = None
            return None
        try:
            return self._whole(self._layout.head, event_time, self._layout.all_present, *numbers)
        except OverflowError:
            return None

    def _readable(self, place: int, data: bytes | None) -> float | None:
        try:
            return None if data is None else number(data, self._reads[place])
        except Unreadable:
            self._tell(self._layout.view.features[place])
            return None

    def _tell(self, feature: Feature) -> None:
        if feature.name not in self._told:
            self._told.add(feature.name)
            log.warning(
                "feature %s of Feast's view %s holds values that are no %s; they count as null",
                feature.name,
                self._source.view,
                feature.dtype,
            )


def hash_rows(views: Iterable[FeatureView]) -> Mapping[bytes, HashRow]:
    """Those of the views that Feast keeps, by what their look-ups begin with."""
    return {prefix(view.name): HashRow(view, view.feast) for view in views if view.feast is not None}


def hash_row_of(hashes: Mapping[bytes, HashRow], key: bytes) -> HashRow | None:
    """The one of `hash_rows` that a look-up belongs to; None for a row of ours."""
    return hashes[key[: key.index(b":", len(MARK)) + 1]] if key.startswith(MARK) else None


def field_of(view: str, feature: str) -> bytes:
    """The field of a hash that holds a feature; both by Feast's names."""
    return pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))
