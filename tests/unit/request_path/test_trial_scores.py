"""Scores find their bins whatever their type, and numbers that are none are found by row."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from math import isnan, nan
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.inference import Outputs, Tensor
from serving.request_path.trial_scores import RowScores, rows_not_finite

EDGES = (-1.0, 0.25, 0.5, 3e7)
SCORES = st.lists(
    st.one_of(st.sampled_from([*EDGES, nan, float("inf"), float("-inf"), -0.0]), st.floats(width=32)), min_size=1
)


def bins_of(scores: RowScores, outputs: Outputs, rows: list[int]) -> list[int]:
    found = scores.of(outputs, rows)
    return [-1] * len(rows) if found is None else scores.bins(found)


@pytest.mark.parametrize(
    ("datatype", "data", "bin_of"),
    [
        ("FP64", pack("<4d", 0, 0, 0, 0.6), 2),
        ("INT64", pack("<4q", 0, 0, 0, 0), 0),
        ("INT32", pack("<4i", 0, 0, 0, 1), 2),
        ("UINT8", bytes(4), -1),
    ],
)
def test_scores_of_any_number_find_their_bin(datatype: str, data: bytes, bin_of: int) -> None:
    outputs = Outputs((Tensor("y", datatype, (2, 2), data),))
    assert bins_of(RowScores("y", 1, (0.25, 0.5)), outputs, [1]) == [bin_of]


def test_an_output_without_the_score_has_no_bin() -> None:
    assert bins_of(RowScores("other", 0, (0.5,)), outputs_of(0.1), [0]) == [-1]
    assert bins_of(RowScores("y", 2, (0.5,)), outputs_of(0.1), [0]) == [-1]
    assert bins_of(RowScores("y", 0, (0.5,)), outputs_of(0.1), [0, 7]) == [0, -1]
    assert bins_of(RowScores("y", 1, (0.5,)), outputs_of(float("nan")), [0]) == [-1]
    assert bins_of(RowScores("y", 1, (0.5,)), Outputs((Tensor("y", "FP32", (2, 2), b""),)), [0, 1]) == [-1, -1]


@given(SCORES, st.data())
def test_scores_of_a_column_are_in_the_bins_in_which_each_would_be_by_itself(
    scores: list[float], data: st.DataObject
) -> None:
    rows = sorted(data.draw(st.sets(st.integers(0, len(scores) + 2), min_size=1)))
    each = [-1 if row >= len(scores) or isnan(scores[row]) else bisect_right(EDGES, scores[row]) for row in rows]
    assert bins_of(RowScores("y", 1, EDGES), outputs_of(*scores), rows) == each


@given(SCORES)
def test_scores_counted_together_are_those_counted_one_by_one(scores: list[float]) -> None:
    column = RowScores("y", 1, EDGES)
    found = column.of(outputs_of(*scores), range(len(scores)))
    assert found is not None
    each = Counter(bisect_right(EDGES, score) for score in scores if not isnan(score))
    assert column.count(found) == [each[place] for place in range(len(EDGES) + 1)]


def test_rows_with_numbers_that_are_none_are_found_by_row() -> None:
    assert rows_not_finite(outputs_of(0.1, float("inf"), 0.2, float("nan"))) == frozenset({1, 3})
    # Products of these would not be finite either.
    assert rows_not_finite(outputs_of(3e38, -3e38)) == frozenset()
    assert rows_not_finite(Outputs((Tensor("n", "INT64", (2,), pack("<2q", 1, 2)),))) == frozenset()


def outputs_of(*scores: float) -> Outputs:
    data = b"".join(pack("<2f", 0.0, score) for score in scores)
    return Outputs((Tensor("y", "FP32", (len(scores), 2), data),))
