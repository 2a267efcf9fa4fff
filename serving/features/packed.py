"""Rows as bytes: one value in Redis for each entity of a view.

`u8 layout · 8 bytes fingerprint of the view · i64 event time in milliseconds · presence, one bit a feature (bit 0 of
byte 0 is the first) · the values in the view's order`, all little-endian, without padding. An absent value stands as
zero. Recorded rows: tests/fixtures/packed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from serving.features.feature_view import DTYPES, FINGERPRINT_BYTES, LAYOUT, FeatureView

HEAD_BYTES = 1 + FINGERPRINT_BYTES + 8
_EVENT_TIME = slice(1 + FINGERPRINT_BYTES, HEAD_BYTES)

Value = float | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was written; None where the writer had no value. `event_time_ms` counts from 1970."""

    values: tuple[Value, ...]
    event_time_ms: int


class RowLayout:
    """Where each value of a view's rows stands."""

    def __init__(self, view: FeatureView) -> None:
        count = len(view.features)
        self.view = view
        self.head = bytes([LAYOUT]) + view.fingerprint
        self.values_at = HEAD_BYTES + (count + 7) // 8
        self.all_present = ((1 << count) - 1).to_bytes((count + 7) // 8, "little")
        self.values = struct.Struct("<" + "".join(DTYPES[feature.dtype] for feature in view.features))
        self.size = self.values_at + self.values.size
        self._zeros = tuple(0 for _ in view.features)

    def pack(self, values: Sequence[Value], event_time_s: float) -> bytes:
        """A row of these values in the view's order; None and NaN are absent.

        Raises:
            ValueError: a value that its dtype cannot hold, or another number of values; names the feature.
        """
        return self.pack_at(values, int(event_time_s * 1000))

    def pack_at(self, values: Sequence[Value], event_time_ms: int) -> bytes:
        """Like `pack`, with the time in milliseconds.

        Raises:
            ValueError: as `pack` does.
        """
        present = 0
        known: list[float] = list(self._zeros)
        for position, value in enumerate(self._checked(values)):
            if value is not None and value == value:  # noqa: PLR0124 - NaN, of whatever type the value is
                present |= 1 << position
                known[position] = value
        return b"".join(
            (
                self.head,
                event_time_ms.to_bytes(8, "little", signed=True),
                present.to_bytes(len(self.all_present), "little"),
                self._packed(known),
            )
        )

    def unpack(self, data: bytes) -> Row | None:
        """The row, or None for bytes that were not written for this very view."""
        if not self.fits(data):
            return None
        present = int.from_bytes(data[HEAD_BYTES : self.values_at], "little")
        values = self.values.unpack_from(data, self.values_at)
        known = tuple(value if present >> position & 1 else None for position, value in enumerate(values))
        return Row(known, self.event_time_ms(data))

    def fits(self, data: bytes) -> bool:
        """These bytes have this view's layout, fingerprint and length."""
        return len(data) == self.size and data.startswith(self.head)

    @staticmethod
    def event_time_ms(data: bytes) -> int:
        """When the row's facts held; for bytes that fit."""
        return int.from_bytes(data[_EVENT_TIME], "little", signed=True)

    def _checked(self, values: Sequence[Value]) -> Sequence[Value]:
        if len(values) != len(self.view.features):
            raise ValueError(
                f"view {self.view.name!r} has {len(self.view.features)} features, got {len(values)} values"
            )
        return values

    def _packed(self, known: Sequence[float]) -> bytes:
        try:
            return self.values.pack(*known)
        except (struct.error, OverflowError):
            raise ValueError(self._why_not(known)) from None

    def _why_not(self, known: Sequence[float]) -> str:
        for feature, value in zip(self.view.features, known, strict=True):
            try:
                struct.pack("<" + DTYPES[feature.dtype], value)
            except (struct.error, OverflowError):
                return f"feature {feature.name!r} is {value!r}, which is no {feature.dtype}"
        return f"a value does not fit view {self.view.name!r}"
