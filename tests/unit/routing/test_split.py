"""Splits: sticky, monotone, and close to the weights."""

from __future__ import annotations

import pytest

from serving.routing.split import choose_split
from serving.routing.table import Route, Served, Split

KEYS = [f"user-{number}".encode() for number in range(20_000)]


def route(canary_bp: int, salt: str = "rollout-1") -> Route:
    splits = (Split("stable", 1, 10_000 - canary_bp), Split("canary", 2, canary_bp))
    return Route("m", salt, splits, (Served(1, "p"), Served(2, "p")))


def canary_keys(canary_bp: int, salt: str = "rollout-1") -> set[bytes]:
    chosen = route(canary_bp, salt)
    return {key for key in KEYS if choose_split(chosen, key).variant == "canary"}


def test_the_same_key_gets_the_same_variant() -> None:
    assert canary_keys(3_000) == canary_keys(3_000)


def test_a_growing_canary_only_ever_gains_keys() -> None:
    before: set[bytes] = set()
    for weight in (0, 1, 100, 500, 2_500, 5_000, 9_999, 10_000):
        now = canary_keys(weight)
        assert before <= now
        before = now
    assert before == set(KEYS)


@pytest.mark.parametrize("weight", [100, 1_000, 5_000])
def test_the_share_of_keys_is_the_weight(weight: int) -> None:
    share = len(canary_keys(weight)) / len(KEYS)
    # Five standard deviations of a binomial share.
    allowed = 5 * (weight / 10_000 * (1 - weight / 10_000) / len(KEYS)) ** 0.5
    assert abs(share - weight / 10_000) < allowed


def test_another_salt_chooses_other_keys() -> None:
    first, second = canary_keys(1_000, "a"), canary_keys(1_000, "b")
    assert len(first & second) < len(first) / 2


def test_stable_may_stand_anywhere_in_the_list() -> None:
    splits = (Split("canary", 2, 1_000), Split("stable", 1, 9_000))
    reordered = Route("m", "rollout-1", splits, (Served(1, "p"), Served(2, "p")))
    assert {key for key in KEYS if choose_split(reordered, key).variant == "canary"} == canary_keys(1_000)
