"""Outputs of several batches are read as one, and nothing is kept that could not be told apart in it."""

from __future__ import annotations

from collections import Counter
from math import isfinite, nan
from struct import pack
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.inference import Outputs, Request, Tensor
from serving.request_path import unread_outputs
from serving.request_path.arm import Arm, Room
from serving.request_path.judged import Judged
from serving.request_path.trial_scores import RowScores
from serving.request_path.unread_outputs import UnreadOutputs
from serving.routing.table import Trial
from tests.unit.request_path.conftest import Caller

TRIAL = Trial("r", 2, 0, 5_000, False, 0.0, 0.0, (1_000,), score_output="y", score_index=0, score_edges=(0.0, 1.0))


def outputs_of(*rows: tuple[float, ...], name: str = "y") -> Outputs:
    """`name` has the rows' numbers, `n` what nobody looks at."""
    data = b"".join(pack(f"<{len(row)}f", *row) for row in rows)
    unseen = Tensor("n", "INT64", (len(rows),), bytes(8 * len(rows)))
    return Outputs((unseen, Tensor(name, "FP32", (len(rows), len(rows[0])), data)))


def test_rows_of_several_batches_are_read_as_those_of_one_without_what_nobody_looks_at() -> None:
    unread = UnreadOutputs("y")
    assert unread.keep(outputs_of((1.0, 2.0), (3.0, 4.0)), 2)
    assert unread.keep(outputs_of((5.0, 6.0)), 1)
    assert unread.rows == 3
    assert unread.take().tensors == (Tensor("y", "FP32", (3, 2), pack("<6f", 1, 2, 3, 4, 5, 6)),)
    assert unread.rows == 0
    # Of another shape, since nothing is left of those before.
    assert unread.keep(outputs_of((7.0,)), 1)
    assert unread.take().tensors == (Tensor("y", "FP32", (1, 1), pack("<f", 7)),)


@pytest.mark.parametrize(
    "other",
    [
        outputs_of((1.0, 2.0, 3.0)),
        outputs_of((1.0, 2.0), name="z"),
        outputs_of((1.0, 2.0), (3.0, 4.0)),
        Outputs((Tensor("y", "FP32", (1, 2), bytes(8)),)),
        Outputs((Tensor("n", "INT64", (1,), bytes(8)), Tensor("y", "FP64", (1, 2), bytes(8)))),
    ],
)
def test_what_is_unlike_those_that_are_kept_is_not_kept_with_them(other: Outputs) -> None:
    unread = UnreadOutputs("y")
    assert unread.keep(outputs_of((1.0, 2.0)), 1)
    assert not unread.keep(other, 1)
    assert unread.rows == 1


def test_it_is_full_by_rows_or_bytes_and_a_large_batch_is_never_kept() -> None:
    assert filled(batches=1_024, numbers=1) == [False] * 1_023 + [True]
    assert filled(batches=8, numbers=2_048) == [False] * 7 + [True]
    assert not UnreadOutputs("y").keep(outputs_of((1.0,) * 2_049), 1)


def filled(batches: int, numbers: int) -> list[bool]:
    """Whether it is full after each batch of one row with so many numbers."""
    unread, full = UnreadOutputs("y"), []
    for _ in range(batches):
        assert unread.keep(outputs_of((1.0,) * numbers), 1)
        full.append(unread.full)
    return full


class Ran(NamedTuple):
    """A batch: rows of each request, its numbers by row, and the requests whose callers have left."""

    sizes: list[int]
    numbers: list[tuple[float, ...]]
    left: set[int]


@st.composite
def batches(draw: st.DrawFn) -> Ran:
    sizes = draw(st.lists(st.sampled_from([1, 1, 1, 1, 3]), min_size=1, max_size=6))
    width = draw(st.sampled_from([1, 1, 2]))
    number = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 7.0, nan, float("inf"), float("-inf")])
    numbers = draw(st.lists(st.tuples(*[number] * width), min_size=sum(sizes), max_size=sum(sizes)))
    left = draw(st.sets(st.integers(0, len(sizes) - 1), max_size=len(sizes) - 1)) if draw(st.booleans()) else set()
    return Ran(sizes, numbers, left)


@given(st.lists(batches(), max_size=20), st.integers(1, 12))
def test_an_arm_counts_answers_as_if_each_had_been_looked_at_by_itself(ran: list[Ran], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unread_outputs, "_MOST_ROWS", most)
        arm = Arm(TRIAL, RowScores("y", 0, TRIAL.score_edges), Room(), canary=True)
        expected: Counter[str] = Counter()
        for batch in ran:
            judged, row = Judged(), 0
            for place, size in enumerate(batch.sizes):
                if place not in batch.left:
                    judged.add(request_of(size), row, ())
                    expected += by_itself(batch.numbers[row : row + size])
                row += size
            arm.answered(judged, outputs_of(*batch.numbers), 0.001)
        tally = arm.take()
        assert expected == ({} if tally is None else {**tally.events, "requests": tally.requests})
        assert arm.take() is None


def by_itself(rows: list[tuple[float, ...]]) -> Counter[str]:
    """What one request comes to: the score of its first row, and whether all numbers are some."""
    score = rows[0][0]
    found = Counter({"requests": 1})
    if score == score:  # noqa: PLR0124 - false for what is no number
        found[f"scores.{(score >= 0) + (score >= 1)}"] = 1
    if not all(isfinite(number) for row in rows for number in row):
        found["outputs_invalid"] = 1
    return found


def request_of(rows: int) -> Request:
    request = Request("m", [], Caller(), 0.0)
    request.rows = rows
    return request
