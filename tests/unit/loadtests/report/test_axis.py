"""Axes of charts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.report.axis import linear, logarithmic, rarity


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_a_linear_axis_has_round_ticks_around_its_values(low: float, span: float) -> None:
    axis = linear("x", low, low + span)
    assert -1e-6 <= axis.place(low) <= axis.place(low + span) <= 1 + 1e-6
    assert 2 <= len(axis.ticks) <= 9


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=5))
def test_decades_are_equally_far_apart(values: list[float]) -> None:
    axis = logarithmic("x", values)
    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value in values)
    tens = [axis.place(value) for value, label in axis.ticks if label.strip("0.k") in ("1", "")]
    gaps = [after - before for before, after in pairwise(tens)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps)) if gaps else True


def test_nines_are_equally_far_apart() -> None:
    axis = rarity("x", 0.999)
    assert [label for _, label in axis.ticks] == ["0 %", "90 %", "99 %", "99.9 %"]
    assert [axis.place(share) for share, _ in axis.ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])
