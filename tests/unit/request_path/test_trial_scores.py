"""Scores find their bins whatever their type, and numbers that are none are found by row."""

from __future__ import annotations

from struct import pack

import pytest

from serving.inference import Outputs, Tensor
from serving.request_path.trial_scores import RowScores, rows_not_finite


@pytest.mark.parametrize(
    ("datatype", "data", "bin_of"),
    [("FP64", pack("<4d", 0, 0, 0, 0.6), 2), ("INT64", pack("<4q", 0, 0, 0, 0), 0), ("UINT8", bytes(4), -1)],
)
def test_scores_of_any_number_find_their_bin(datatype: str, data: bytes, bin_of: int) -> None:
    outputs = Outputs((Tensor("y", datatype, (2, 2), data),))
    assert RowScores("y", 1, (0.25, 0.5)).bin_of(outputs, 1) == bin_of


def test_an_output_without_the_score_has_no_bin() -> None:
    assert RowScores("other", 0, (0.5,)).bin_of(outputs_of(0.1), 0) == -1
    assert RowScores("y", 2, (0.5,)).bin_of(outputs_of(0.1), 0) == -1
    assert RowScores("y", 0, (0.5,)).bin_of(outputs_of(0.1), 7) == -1
    assert RowScores("y", 1, (0.5,)).bin_of(outputs_of(float("nan")), 0) == -1


def test_rows_with_numbers_that_are_none_are_found_by_row() -> None:
    assert rows_not_finite(outputs_of(0.1, float("inf"), 0.2, float("nan"))) == frozenset({1, 3})
    assert rows_not_finite(Outputs((Tensor("n", "INT64", (2,), pack("<2q", 1, 2)),))) == frozenset()


def outputs_of(*scores: float) -> Outputs:
    data = b"".join(pack("<2f", 0.0, score) for score in scores)
    return Outputs((Tensor("y", "FP32", (len(scores), 2), data),))
