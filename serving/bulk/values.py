"""Columns of a file to the values of a tensor's datatype; a value that does not fit rejects its row, and no other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]
Bad = dict[int, str]

DTYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}
_SHOWN = 40


def numbers(name: str, column: pa.Array, datatype: str) -> tuple[Array, Bad]:
    """A value for each row and, where one has none that fits, 0 and the reason.

    Text is read as numbers. Whole numbers are taken for floats, and floats for whole numbers where they are whole.
    """
    column = _plain(column)
    dtype = np.dtype(DTYPES[datatype])
    quick = None if column.null_count else _at_once(column, dtype)
    if quick is not None:
        return quick, {}
    values = np.zeros(len(column), dtype)
    bad: Bad = {}
    for row, cell in enumerate(column.to_pylist()):
        try:
            values[row] = _number(cell, dtype)
        except (ValueError, OverflowError, TypeError) as why:
            bad[row] = f"column {name!r} {why}"
    return values, bad


def texts(name: str, column: pa.Array) -> tuple[list[bytes], Bad]:
    """The bytes of each row's text; numbers as they are written."""
    found: list[bytes] = []
    bad: Bad = {}
    for row, cell in enumerate(_plain(column).to_pylist()):
        if cell is None:
            bad[row] = f"column {name!r} is empty"
        found.append(cell if isinstance(cell, bytes) else str("" if cell is None else cell).encode())
    return found, bad


def lists(name: str, column: pa.Array, width: int) -> tuple[pa.Array, Bad]:
    """The values of all rows one after another, `width` for each; a row that has others gets nulls, and the reason."""
    column = _plain(column)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        if not pa.types.is_fixed_size_list(column.type):
            return pa.nulls(len(column) * width), dict.fromkeys(range(len(column)), f"column {name!r} holds no lists")
        column = column.cast(pa.list_(column.type.value_type))
    lengths = column.value_lengths().fill_null(-1).to_numpy(zero_copy_only=False)
    if not len(column) or (lengths == width).all():
        return column.flatten(), {}
    wrong = np.flatnonzero(lengths != width).tolist()
    bad = {row: f"column {name!r} has {_length(int(lengths[row]))} where {width} are wanted" for row in wrong}
    rows = [[None] * width if row in bad else values for row, values in enumerate(column.to_pylist())]
    return pa.array([value for values in rows for value in values], column.type.value_type), bad


def _length(values: int) -> str:
    return "no list" if values < 0 else f"{values} values"


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _at_once(column: pa.Array, dtype: np.dtype[Any]) -> Array | None:
    """The whole column, or None where it has to be looked at value by value."""
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            if dtype.kind == "b":
                return None
            column = column.cast(pa.float64() if dtype.kind == "f" else pa.int64())
        elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or _truths(column, dtype)):
            return None
        found: Array = column.to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if found.dtype == dtype:
        return found
    if dtype.kind == "b":
        return None
    with np.errstate(all="ignore"):
        cast = found.astype(dtype)
        # What a narrower float cannot hold becomes infinite; what is rounded is meant to be.
        same = np.isinf(cast) == np.isinf(found) if dtype.kind == "f" else cast == found
    return cast if same.all() and (dtype.kind == "f" or (cast < 0).sum() == (found < 0).sum()) else None


def _truths(column: pa.Array, dtype: np.dtype[Any]) -> bool:
    return bool(pa.types.is_boolean(column.type)) and dtype.kind == "b"


def _number(cell: object, dtype: np.dtype[Any]) -> float:
    if cell is None:
        raise ValueError("is empty")
    if dtype.kind == "b":
        truth = cell if isinstance(cell, bool) else _TRUTHS.get(str(cell).strip().lower())
        if truth is None:
            raise ValueError(f"must be true or false, got {shown(cell)}")
        return truth
    if isinstance(cell, bool | bytes | list | dict):
        raise ValueError(f"must be a number, got {shown(cell)}")  # noqa: TRY004 - told with its row, no defect
    # To Python 1_0 is ten; in a table it is a mistake.
    if isinstance(cell, str) and "_" in cell:
        raise ValueError(f"must be a number, got {shown(cell)}")
    return _float(cell, dtype) if dtype.kind == "f" else _whole(cell, dtype)


def _float(cell: object, dtype: np.dtype[Any]) -> float:
    try:
        # Decimals, and text, too.
        value = float(cell)  # type: ignore[arg-type] # what is none of them raises
    except (ValueError, TypeError):
        raise ValueError(f"must be a number, got {shown(cell)}") from None
    if math.isfinite(value) and abs(value) > float(np.finfo(dtype).max):
        raise ValueError(f"is {shown(cell)}, which is too large for {dtype}")
    return value


def _whole(cell: object, dtype: np.dtype[Any]) -> int:
    try:
        # Not by way of a float, which holds no number of more than 53 bits.
        value = int(cell) if isinstance(cell, int | str) else _without_fraction(float(cell))  # type: ignore[arg-type] # raises
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"must be a whole number, got {shown(cell)}") from None
    limits = np.iinfo(dtype)
    if not limits.min <= value <= limits.max:
        raise ValueError(f"is {shown(cell)}, which is too large for {dtype}")
    return value


def _without_fraction(value: float) -> int:
    if not value.is_integer():
        raise ValueError
    return int(value)


def shown(cell: object) -> str:
    """A value as a message has it."""
    text = repr(cell)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
