"""A model's input made of a whole table, for training: by the same declaration and the same code as at request time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from serving.features.transforms.declared import declared
from serving.features.transforms.numeric import Numbers, numbers


def model_columns(features: Sequence[str | Mapping[str, Any]]) -> list[str]:
    """The names of an input's columns; `features` is the list that the configuration has under `inputs`."""
    names: list[str] = []
    for one in features:
        names += [one] if isinstance(one, str) else declared(one).names
    return names


def model_rows(features: Sequence[str | Mapping[str, Any]], table: Mapping[str, ArrayLike]) -> Numbers:
    """The rows of an input, float64 [rows, columns]; cast them to the input's own dtype, as the gateway does.

    `table` has a column for each name that `features` uses (`plane.year`, `request.hour`; a data frame will do), with
    stored values as they are stored: a float32 feature is rounded to float32 before anything is made of it. What is
    missing has to be filled in first, with what the gateway fills in.

    Raises:
        KeyError: the table lacks a column.
        ValueError: a declaration or a word that is none.
    """
    columns: list[Numbers] = []
    for one in features:
        if isinstance(one, str):
            columns.append(numbers(table[one]))
            continue
        transform = declared(one)
        given = [table[name] for name in transform.columns]
        columns += transform.apply(given if transform.takes_words else [numbers(values) for values in given])
    return np.stack(columns, axis=1)
