"""Whole columns of cells to arrays, where every cell is plainly what it should be.

What is taken here is taken by `stored_value` as the very same value. Any doubt is a `ValueError`, a `TypeError` or an
`OverflowError`; then the cells are looked at one by one by `stored_value`, which knows more forms and says what is
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.features.feature_view import Feature

Numbers = npt.NDArray[Any]
Present = npt.NDArray[np.bool_]

_TEXT = frozenset((str,))
_NUMBERS = frozenset((float, int, type(None)))
_WHOLE = frozenset((int, type(None)))
_TRUTH = frozenset((bool, type(None)))
_WORDS = {"true": 1, "false": 0, "True": 1, "False": 0, "1": 1, "0": 0, "": None}
_LONGEST_ID = 512
# From here on not every whole number is a float.
_FIRST_WITH_GAPS = 2.0**53


def feature_column(feature: Feature, cells: Any) -> tuple[Numbers, Present]:  # noqa: ANN401 - a list or an array
    """The values of a feature, zero where nothing is there; in the widest form of their kind.

    Raises:
        ValueError, TypeError, OverflowError: they have to be looked at one by one.
    """
    if feature.dtype in {"float32", "float64"}:
        values = _floats(cells)
        present = ~np.isnan(values)
        values[~present] = 0.0
        largest = float(np.finfo(feature.dtype).max)
        if (np.abs(values) > largest).any():
            raise ValueError
    else:
        values, present = _truths(cells) if feature.dtype == "bool" else _wholes(cells)
        if feature.dtype == "int32" and (values != values.astype(np.int32)).any():
            raise ValueError
    if feature.bounds is not None:
        low, high = feature.bounds
        if (((values < low) | (values > high)) & present).any():
            raise ValueError
    return values, present


def ids(cells: Any) -> list[bytes]:  # noqa: ANN401 - a list or an array
    """As they stand in keys (`keys.netstring`).

    Raises:
        ValueError, TypeError, OverflowError: they have to be looked at one by one.
    """
    if isinstance(cells, np.ndarray):
        cells = _whole_numbers(cells).tolist()
    kinds = set(map(type, cells))
    if kinds == {int}:
        words = [b"%d" % cell for cell in cells]
    elif kinds == _TEXT:
        words = [cell.encode() for cell in cells]
    else:
        raise TypeError
    sizes = list(map(len, words))
    if not (min(sizes) >= 1 and max(sizes) <= _LONGEST_ID):
        raise ValueError
    return [b"%d:%b" % one for one in zip(sizes, words, strict=True)]


def _floats(cells: Any) -> Numbers:  # noqa: ANN401 - a list or an array
    if isinstance(cells, np.ndarray):
        return cells.astype(np.float64)
    kinds = set(map(type, cells))
    if kinds == _TEXT:
        _refuse_underscores(cells)
        return np.array([float(cell) if cell else nan for cell in cells], np.float64)
    if kinds <= _NUMBERS:
        return np.array([nan if cell is None else float(cell) for cell in cells], np.float64)
    raise TypeError


def _wholes(cells: Any) -> tuple[Numbers, Present]:  # noqa: ANN401 - a list or an array
    if isinstance(cells, np.ndarray):
        present = ~np.isnan(cells)
        return _whole_numbers(np.where(present, cells, 0)), present
    kinds = set(map(type, cells))
    if kinds == _TEXT:
        _refuse_underscores(cells)
        return np.array([int(cell) if cell else 0 for cell in cells], np.int64), np.array(list(map(bool, cells)))
    if kinds <= _WHOLE:
        return np.array([cell or 0 for cell in cells], np.int64), _given(cells)
    raise TypeError


def _refuse_underscores(cells: Sequence[str]) -> None:
    # One pass over all of them: to Python 1_0 is ten.
    if "_" in "".join(cells):
        raise ValueError


def _truths(cells: Any) -> tuple[Numbers, Present]:  # noqa: ANN401 - a list or an array
    kinds = set(map(type, cells))
    if kinds == _TEXT:
        try:
            cells = [_WORDS[cell] for cell in cells]
        except KeyError:
            raise ValueError from None
    elif not kinds <= _TRUTH:
        raise TypeError
    return np.array([bool(cell) for cell in cells], np.int64), _given(cells)


def _given(cells: Sequence[object]) -> Present:
    return np.array([cell is not None for cell in cells], np.bool_)


def _whole_numbers(values: Numbers) -> Numbers:
    if values.dtype.kind == "f" and not ((np.abs(values) < _FIRST_WITH_GAPS) & (values == np.trunc(values))).all():
        raise ValueError
    return values.astype(np.int64)
