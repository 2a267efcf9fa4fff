"""What transforms make of an input, worked out when a plan is compiled: operands, widths, what a datatype can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct

import numpy as np

from serving.features.derivation import Copied, Mixed, Operands
from serving.features.model_inputs import TensorPlan
from serving.features.segments import ARRAYS, FORMATS, REQUEST, Column, Pieces, column_of, segments_of
from serving.features.transforms.transform import Transform

Entry = Column | Transform

# What operands are read as, as if they were tensors of the model.
NUMBERS, WORDS = "FP64", "INT64"
_FLOATS = ("FP32", "FP64")


def columns_of(entry: Entry) -> tuple[Column, ...]:
    """What an entry is made of: itself, or what its transform takes."""
    return (entry,) if isinstance(entry, Column) else tuple(map(column_of, entry.columns))


def width_of(entry: Entry) -> int:
    """How many columns the model gets of it."""
    return 1 if isinstance(entry, Column) else len(entry.names)


def fits(transform: Transform, datatype: str) -> bool:
    """Whether a datatype can hold what a transform gives: any number, or each of those that it may give, exactly."""
    if datatype in _FLOATS:
        return True
    if transform.results is None:
        return False
    results = np.array(transform.results, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        held = results.astype(ARRAYS[datatype])
    # FP16 holds whole numbers up to 2,048 only, and a table's numbers are tried one by one.
    spaced = datatype != "FP16" or np.abs(results).max() <= 2_048  # noqa: PLR2004
    return bool((held.astype(np.float64) == results).all()) and bool(spaced)


def mixed(datatype: str, entries: Sequence[Entry]) -> Mixed:
    """The row of one tensor: runs of plain columns, which stand side by side, and transforms between them."""
    size = Struct("<" + FORMATS[datatype]).size
    pieces: list[Copied | Transform] = []
    plain = 0
    for entry in entries:
        if not isinstance(entry, Column):
            pieces.append(entry)
            continue
        last = pieces[-1] if pieces else None
        start = plain * size
        plain += 1
        if isinstance(last, Copied):
            pieces[-1] = last._replace(stop=plain * size)
        else:
            pieces.append(Copied(start, plain * size))
    return Mixed(datatype, tuple(pieces))


def operand_tensors(inputs: Mapping[str, Sequence[Entry]], pieces: Pieces) -> tuple[list[TensorPlan], Operands]:
    """What is read for transforms beside the tensors of the model; adds to `pieces` what is sent for them."""
    transforms = [entry for entries in inputs.values() for entry in entries if not isinstance(entry, Column)]
    numbers = _ordered([c for t in transforms if not t.takes_words for c in columns_of(t)])
    words = _ordered([c for t in transforms if t.takes_words for c in columns_of(t)])
    stored = [column for column in words if column.view != REQUEST]
    sent = [column for column in words if column.view == REQUEST]
    hidden = [
        TensorPlan("", datatype, (), tuple(segments_of(columns, datatype, pieces)))
        for datatype, columns in ((NUMBERS, numbers), (WORDS, stored))
        if columns
    ]
    pieces.words += [column.feature for column in sent]
    # Known only now: operands that are numbers are sent as well.
    return hidden, Operands(_texts(numbers), _texts(stored), _texts(sent), len(pieces.sent))


def _ordered(columns: Sequence[Column]) -> list[Column]:
    """Each once, those of a view side by side, so that they are few pieces."""
    return sorted(dict.fromkeys(columns), key=lambda column: (column.view == REQUEST, column.view))


def _texts(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(map(str, columns))
