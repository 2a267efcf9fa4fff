"""What was learned survives its way, and what cannot have been learned is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.latency_model import Estimate
from serving.batching.learned import Learned, dump, load, readable
from serving.inference import VersionKey

LEARNED = Learned("default", VersionKey("m", 3), "12-34", Estimate(0.002, 0.0001, 1.4), 99)


def test_what_is_read_is_what_was_dumped() -> None:
    assert load(json.loads(json.dumps(dump(LEARNED)))) == LEARNED


@pytest.mark.parametrize(
    ("position", "wrong"), [(4, -0.001), (5, float("nan")), (6, 0.5), (7, -1), (4, "x"), (2, None)]
)
def test_numbers_that_no_run_can_have_are_refused(position: int, wrong: object) -> None:
    entry = dump(LEARNED)
    entry[position] = wrong
    with pytest.raises(ValueError, match="estimate"):
        load(entry)
    assert readable([entry, dump(LEARNED)]) == [LEARNED]


nonsense = st.recursive(st.none() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=9))


@given(st.lists(nonsense, min_size=7, max_size=9))
def test_whatever_is_read_is_an_estimate_that_works_or_left_out(entry: list[object]) -> None:
    for one in readable([entry]):
        assert one.estimate.late_s(5) >= one.estimate.run_s(5) >= 0.0
