"""The bytes a worker holds."""

from __future__ import annotations

from serving.edge.budget import ByteBudget


def test_what_is_taken_leaves_less_room_until_it_is_given_back() -> None:
    budget = ByteBudget(10)
    assert budget.fits(10)
    budget.take(4)
    assert (budget.fits(6), budget.fits(7)) == (True, False)
    budget.give_back(4)
    assert budget.fits(10)
