"""What became of values is counted also where the request is refused for one of them."""

from __future__ import annotations

import asyncio

import pytest

from serving.features.store.reading import Found
from tests.unit.features.conftest import flights
from tests.unit.features.test_features import Bench
from tests.unit.features.test_plan import FOUND, INSTANCE, NOW_MS

UNKNOWN = {**INSTANCE, "tailnum": "N9"}


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("found", "plane", "route"),
    [
        (None, {"present": 0, "unavailable": 2}, {"present": 0, "unavailable": 2}),
        (FOUND, {"present": 1, "not_found": 1}, {"present": 2}),
        (
            dict.fromkeys(FOUND, b"old"),
            {"present": 0, "unreadable": 1, "not_found": 1},
            {"present": 0, "unreadable": 2},
        ),
    ],
)
def test_values_of_a_refused_request_are_counted_by_their_status_as_those_of_any_other(
    bench: Bench, found: Found | None, plane: dict[str, int], route: dict[str, int]
) -> None:
    bench.fill(flights("fail"), UNKNOWN, INSTANCE)
    bench.reader.answers(0, found)
    assert len(bench.refused) == 1
    assert bench.handed_on == []
    bench.features.flush()
    assert bench.observer.values == {
        ("late", "plane", "year"): plane,
        ("late", "plane", "seats"): plane,
        ("late", "route", "delay"): route,
        ("late", "route", "flights"): route,
    }


async def test_values_of_a_large_request_that_is_refused_are_all_counted(bench: Bench) -> None:
    bench.fill(flights("fail"), UNKNOWN, *[INSTANCE] * 1_998, UNKNOWN)
    bench.reader.answers(0, FOUND)
    for _ in range(4):
        await asyncio.sleep(0)
    assert [error.message[:12] for _, error in bench.refused] == ["instances[0]"]
    bench.features.flush()
    assert bench.observer.values["late", "plane", "year"] == {"present": 1_998, "not_found": 2}


def test_nothing_is_made_of_the_rows_of_a_request_that_is_refused() -> None:
    plan = flights("fail")
    filled = plan.tensors(plan.read([UNKNOWN, INSTANCE]), FOUND, NOW_MS)
    assert filled.refusal is not None
    assert filled.tensors == []
    # Rows before the first that is refused are no reason to go on with it.
    later = plan.tensors(plan.read([INSTANCE, UNKNOWN, INSTANCE]), FOUND, NOW_MS)
    assert (later.refusal is None, later.tensors) == (False, [])
