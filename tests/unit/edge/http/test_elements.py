"""The `data` of a tensor: flat or nested it has the same values, and what does not fit its shape is refused."""

from __future__ import annotations

from typing import Any

import pytest

from serving.edge.http.elements import flat
from serving.edge.typed_elements import pack
from serving.errors import BadRequest


@pytest.mark.parametrize(
    ("data", "shape"),
    [([1, 2, 3, 4], (2, 2)), ([[1, 2], [3, 4]], (2, 2)), ([[[1], [2]], [[3], [4]]], (2, 2, 1)), ([1, 2, 3, 4], (4,))],
)
def test_flat_and_nested_data_are_the_same(data: list[Any], shape: tuple[int, ...]) -> None:
    assert flat("x", data, shape) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("data", "shape", "message"),
    [
        ([1, 2, 3], (2, 2), r"shape \[2, 2\] needs 4 values, but `data` has 3"),
        ([[1, 2], [3]], (2, 2), "nested otherwise"),
        ([[1, 2], 3], (2, 2), "nested otherwise"),
        ([[1, 2, 3, 4]], (2, 2), "nested otherwise"),
        ([[1], [2]], (2,), "value 0 must be a number .*got an array"),
        ([[1]], (), "nested otherwise"),
        ([], (), "needs 1 values"),
        ([1], (2**60, 2**60), "needs"),
        (1, (1,), "`data` must be an array, got 1"),
        (None, (1,), "`data` must be an array, got null"),
    ],
)
def test_counts_and_nesting_that_do_not_fit_the_shape_are_refused(
    data: Any, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        pack("x", "FP32", flat("x", data, shape), False)
