"""A server of known behaviour behaves as it is known to."""

from __future__ import annotations

import pytest

from loadtests.stub.behaviour import Behaviour, Fates


def test_every_so_manieth_request_has_its_fate() -> None:
    fates = Fates(Behaviour(fixed_s=0.005, slow_every=3, slow_s=0.2, wrong_every=2, reset_every=5))
    told = [fates.of_next(0.0) for _ in range(6)]
    assert [round(fate.at, 3) for fate in told] == [0.005, 0.005, 0.2, 0.005, 0, 0.2]
    assert [fate.wrong for fate in told] == [False, True, False, True, False, True]
    assert [fate.resets for fate in told] == [False] * 4 + [True, False]


def test_who_would_be_answered_in_a_stall_is_answered_at_its_end() -> None:
    fates = Fates(Behaviour(stall_every_s=20, stall_s=2, stall_after_s=10))
    assert [fates.of_next(at).at for at in (5, 10, 11.5, 12, 29, 31)] == [5, 12, 12, 12, 29, 32]


def test_one_worker_serves_in_order() -> None:
    fates = Fates(Behaviour(service_s=1))
    assert [fates.of_next(at).at for at in (0, 0.5, 5)] == [1, 2, 6]


def test_above_its_rate_it_refuses_the_rest() -> None:
    fates = Fates(Behaviour(refuse_above=100))
    statuses = [fates.of_next(number / 200).status for number in range(2_000)]
    assert statuses.count(200) == pytest.approx(1_000, abs=15)
