"""Values fall into the right bucket, one by one and many at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.telemetry.buckets import ROWS, SECONDS, Histogram

durations = st.floats(min_value=0, max_value=100) | st.sampled_from(SECONDS)


@given(st.lists(durations, max_size=200))
def test_many_at_once_are_counted_as_one_by_one(values: list[float]) -> None:
    together, alone = Histogram(SECONDS), Histogram(SECONDS)
    together.add_all(values)
    for value in values:
        alone.add(value)
    assert together.counts == alone.counts
    assert together.total == pytest.approx(alone.total)


def test_a_bound_belongs_to_the_bucket_below_it_as_prometheus_has_it() -> None:
    histogram = Histogram(ROWS)
    histogram.add(2)
    histogram.add(2.5)
    histogram.add(5000)
    assert histogram.counts == [0, 1, 1, *[0] * (len(ROWS) - 3), 1]


def test_bounds_rise() -> None:
    assert list(SECONDS) == sorted(set(SECONDS))
    assert list(ROWS) == sorted(set(ROWS))
