"""How a tensor's row is put together: slices of packed rows and of what the caller sent, converted only where it must.

Most features have the tensor's own dtype. Their bytes are then copied from the packed row as they are; a row of eleven
features of three views and eleven request features takes four slices and one join.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from struct import Struct
from typing import NamedTuple

from serving.features.feature_view import DTYPES
from serving.features.packed import RowLayout

# Format characters of `struct` for the datatypes that a feature may become.
FORMATS: Mapping[str, str] = {
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "BOOL": "?",
}

# NumPy's names of the datatypes that features may become, little-endian.
ARRAYS: Mapping[str, str] = {
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "BOOL": "?",
}

# What a view's dtype may become: nothing that could overflow, nothing that drops a fraction.
BECOMES: Mapping[str, frozenset[str]] = {
    "float32": frozenset(("FP32", "FP64")),
    "float64": frozenset(("FP64",)),
    "int32": frozenset(("INT32", "INT64", "FP32", "FP64")),
    "int64": frozenset(("INT64", "FP32", "FP64")),
    "bool": frozenset(("BOOL", "INT32", "INT64", "FP32", "FP64")),
}
# A packed boolean may be any byte but zero, and a model's must be 1: it is never copied as it is.
_SAME = {"float32": "FP32", "float64": "FP64", "int32": "INT32", "int64": "INT64"}

REQUEST = "request"


class Column(NamedTuple):
    """`view.feature` of a model's inputs; `view` is `request` for what the caller sends."""

    view: str
    feature: str

    def __str__(self) -> str:
        return f"{self.view}.{self.feature}"


def column_of(text: str) -> Column:
    """A column as the configuration writes it."""
    view, _, feature = text.partition(".")
    return Column(view, feature)


class Segment(NamedTuple):
    """Bytes `start` to `stop` of one of the pieces that a row is made of."""

    piece: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A run of request features that stand side by side in one tensor."""

    names: tuple[str, ...]
    datatype: str
    struct: Struct


@dataclass(frozen=True, slots=True)
class Conversion:
    """Values of one packed row, as another dtype or in another order."""

    view: int
    layout: RowLayout
    positions: tuple[int, ...]
    struct: Struct

    def convert(self, row: bytes) -> bytes:
        """The values as the tensor wants them."""
        values = self.layout.values.unpack_from(row, self.layout.values_at)
        return self.struct.pack(*[values[position] for position in self.positions])


@dataclass(slots=True)
class Pieces:
    """What a row is made of: the packed row of each view, then what was sent, then what is converted.

    `words` are fields whose text is sent as it is; they stand behind what else was sent, and are no part of a tensor.
    """

    layouts: Sequence[RowLayout]
    sent: list[Sent]
    conversions: list[Conversion]
    words: list[str] = field(default_factory=list)


def segments_of(columns: Sequence[Column], datatype: str, pieces: Pieces) -> list[Segment]:
    """The pieces of one tensor's row in the order of its columns; adds to `pieces` what has to be made.

    A conversion's number is negative until `numbered` puts it behind all that is sent.
    """
    found: list[Segment] = []
    for view, run in groupby(columns, key=lambda column: column.view):
        names = [column.feature for column in run]
        if view == REQUEST:
            struct = Struct(f"<{len(names)}{FORMATS[datatype]}")
            pieces.sent.append(Sent(tuple(names), datatype, struct))
            found.append(Segment(len(pieces.layouts) + len(pieces.sent) - 1, 0, struct.size))
        else:
            found += _of_view(view, names, datatype, pieces)
    return found


def numbered(segments: Sequence[Segment], pieces: Pieces) -> tuple[Segment, ...]:
    """The same segments once all tensors are known: conversions are the last pieces."""
    before = len(pieces.layouts) + len(pieces.sent) + len(pieces.words)
    return tuple(
        segment if segment.piece >= 0 else segment._replace(piece=before - segment.piece - 1) for segment in segments
    )


def _of_view(view: str, names: Sequence[str], datatype: str, pieces: Pieces) -> list[Segment]:
    number = next(n for n, layout in enumerate(pieces.layouts) if layout.view.name == view)
    layout = pieces.layouts[number]
    place = {feature.name: position for position, feature in enumerate(layout.view.features)}
    positions = tuple(place[name] for name in names)
    if all(_SAME.get(layout.view.features[position].dtype) == datatype for position in positions):
        return [_slice(number, layout, run) for run in _consecutive(positions)]
    struct = Struct(f"<{len(names)}{FORMATS[datatype]}")
    pieces.conversions.append(Conversion(number, layout, positions, struct))
    return [Segment(-len(pieces.conversions), 0, struct.size)]


def _slice(number: int, layout: RowLayout, run: Sequence[int]) -> Segment:
    before = "".join(DTYPES[feature.dtype] for feature in layout.view.features[: run[0]])
    inside = "".join(DTYPES[layout.view.features[position].dtype] for position in run)
    start = layout.values_at + Struct("<" + before).size
    return Segment(number, start, start + Struct("<" + inside).size)


def _consecutive(positions: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for position in positions:
        if runs and runs[-1][-1] + 1 == position:
            runs[-1].append(position)
        else:
            runs.append([position])
    return runs
