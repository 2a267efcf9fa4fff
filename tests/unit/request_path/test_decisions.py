"""What an answer decides."""

from __future__ import annotations

from math import inf, nan
from struct import pack

import pytest

from serving.inference import Outputs, Tensor
from serving.request_path.decisions import Decision, Decisions, distance

PAIRS = Outputs((Tensor("p", "FP32", (2, 2), pack("<4f", 0.75, 0.25, 0.125, 0.875)),))
LABELS = Outputs((Tensor("label", "INT64", (3,), pack("<3q", 4, 7, 9)),))


def test_a_score_at_its_threshold_decides_for_it() -> None:
    assert Decisions("p", 1, 0.875).of(PAIRS, 1) == Decision(0.875, 1)
    assert Decisions("p", 1, 0.875).of(PAIRS, 0) == Decision(0.25, 0)


def test_without_a_threshold_the_largest_element_of_the_row_decides() -> None:
    assert [Decisions("p", 1, None).of(PAIRS, row) for row in (0, 1)] == [Decision(0.25, 0), Decision(0.875, 1)]


def test_a_whole_number_is_the_decision_itself_and_a_single_score_none() -> None:
    assert Decisions("label", 0, None).of(LABELS, 1) == Decision(7.0, 7)
    single = Outputs((Tensor("s", "FP64", (1, 1), pack("<d", 0.5)),))
    assert Decisions("s", 0, None).of(single, 0) == Decision(0.5, None)


@pytest.mark.parametrize(
    ("name", "index", "row"),
    [("", 0, 0), ("other", 0, 0), ("p", 2, 0), ("p", 0, 2)],
    ids=["none", "name", "index", "row"],
)
def test_what_is_not_there_decides_nothing(name: str, index: int, row: int) -> None:
    assert Decisions(name, index, 0.5).of(PAIRS, row) is None


def test_texts_and_scalars_decide_nothing() -> None:
    assert Decisions("t", 0, None).of(Outputs((Tensor("t", "BYTES", (1,), b"\0\0\0\0"),)), 0) is None
    assert Decisions("t", 0, None).of(Outputs((Tensor("t", "FP32", (), pack("<f", 1.0)),)), 0) is None


@pytest.mark.parametrize(
    ("one", "other", "apart"), [(0.25, 0.75, 0.5), (nan, nan, 0.0), (nan, 1.0, inf), (inf, inf, 0.0), (inf, 1.0, inf)]
)
def test_a_score_that_is_no_number_is_infinitely_far_from_one_that_is(one: float, other: float, apart: float) -> None:
    assert distance(one, other) == apart
