"""Bounds in their units."""

from __future__ import annotations

from serving.edge.http.limits import HttpLimits


def test_megabytes_are_binary_and_may_be_fractions() -> None:
    limits = HttpLimits(max_json_mb=0.5, max_body_mb=2)
    assert (limits.max_json_bytes, limits.max_body_bytes) == (1 << 19, 2 << 20)


def test_a_body_may_take_longer_the_more_of_it_arrived() -> None:
    limits = HttpLimits(body_s=30, min_body_kb_s=64)
    assert limits.body_allowed_s(0) == 30
    assert limits.body_allowed_s(640 * 1024) == 40
