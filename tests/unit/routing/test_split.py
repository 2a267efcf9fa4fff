"""Splits: sticky, monotone, and close to the weights."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from serving.routing.split import bucket_of, choose_split
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


@pytest.mark.parametrize(
    ("salt", "key", "bucket"),
    [
        ("", b"", 1_883),
        ("rollout-1", b"", 6_739),
        ("rollout-1", b"user-1", 4_154),
        ("rollout-1", b"user-2", 7_517),
        ("rollout-2", b"user-1", 8_500),
        ("7f3a", b"N14228", 6_187),
        ("rollout-1", "Zo\u00eb".encode(), 4_470),
        ("rollout-1", b"a\0b", 7_630),
    ],
)
def test_buckets_are_those_of_the_published_examples(salt: str, key: bytes, bucket: int) -> None:
    assert bucket_of(salt, key) == bucket
    published = Path("docs/rollouts.md").read_text(encoding="utf-8")
    assert f"| {bucket:,} |" in published


def test_no_key_leaves_the_canary_through_eight_steps_two_workers_and_a_restart() -> None:
    """A worker that starts later, with other seeds of its own, sends every key where the others do."""
    weights = (1, 100, 500, 1_000, 2_500, 5_000, 7_500, 10_000)
    here = [canary_keys(weight) for weight in weights]
    code = (
        "import sys; from serving.routing.split import bucket_of;"
        "print(*[bucket_of('rollout-1', f'user-{number}'.encode()) for number in range(20_000)])"
    )
    others = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=os.environ | seed)
        for seed in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    ]
    for other in others:
        buckets = [int(bucket) for bucket in other.stdout.split()]
        there = [{key for key, bucket in zip(KEYS, buckets, strict=True) if bucket < weight} for weight in weights]
        assert there == here
    assert all(before <= after for before, after in pairwise(here))


def test_a_million_keys_fall_into_all_buckets_alike() -> None:
    counts = np.bincount([bucket_of("rollout-1", b"%d" % number) for number in range(1_000_000)], minlength=10_000)
    chi_square = ((counts - 100.0) ** 2 / 100.0).sum()
    # Of 9,999 degrees of freedom: mean, and four standard deviations.
    assert abs(chi_square - 9_999) < 4 * (2 * 9_999) ** 0.5


@pytest.mark.parametrize("weight", [0, 10_000])
def test_nothing_and_everything_are_exact(weight: int) -> None:
    assert len(canary_keys(weight)) == (len(KEYS) if weight else 0)
