"""Rows finished together are the rows finished one by one, whatever Redis holds."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.features.compilation import compile_plan
from serving.features.feature_view import feature
from serving.features.keys import row_key
from serving.features.model_inputs import ModelInputs
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.features.whole_rows import FEWEST
from serving.inference import TensorSpec
from tests.unit.features.conftest import COLUMNS, PLANE, ROUTE, flights, signature
from tests.unit.features.test_plan import INSTANCE, NOW_MS

MANY = 2 * FEWEST
PLANES = [f"N{number}" for number in range(MANY)]
NAN_FREE = st.floats(width=32, allow_nan=False)
WHOLE = st.builds(lambda year, seats: RowLayout(PLANE).pack([year, seats], NOW_MS / 1000), NAN_FREE, NAN_FREE)
STALE = st.just(RowLayout(PLANE).pack([1999, 149], NOW_MS / 1000 - 61))
PARTLY = st.just(RowLayout(PLANE).pack([1999, None], NOW_MS / 1000))
LIKE_A_ROW = st.binary(min_size=RowLayout(PLANE).size, max_size=RowLayout(PLANE).size)
ANYTHING = st.one_of(WHOLE, STALE, PARTLY, LIKE_A_ROW, st.binary(max_size=60), st.none())


def test_requests_get_their_own_rows(plan: ReadPlan) -> None:
    rows = [plan.read([{**INSTANCE, "tailnum": plane, "hour": hour}]) for hour, plane in enumerate(PLANES)]
    found: dict[bytes, bytes | None] = {row_key(ROUTE, ["EWR", "IAH"]): RowLayout(ROUTE).pack([7.5, 0.5, 20], 0)}
    for number, plane in enumerate(PLANES):
        found[row_key(PLANE, [plane])] = RowLayout(PLANE).pack([1990 + number, 50 * number], NOW_MS / 1000)
    together = plan.whole_rows.tensors(rows, found, NOW_MS)
    assert together is not None
    for number, (tensor,) in enumerate(together):
        assert (tensor.name, tensor.datatype, tensor.shape) == ("x", "FP32", (1, 6))
        assert struct.unpack("<6f", tensor.data) == (1990 + number, 50 * number, 20, 7.5, number, 9.5)


@given(st.lists(WHOLE, min_size=MANY, max_size=MANY))
def test_whole_rows_are_as_one_by_one(planes: list[bytes]) -> None:
    together, alone = _both_ways(planes)
    assert together == alone


@settings(max_examples=300)
@given(st.lists(st.one_of(WHOLE, ANYTHING), min_size=MANY, max_size=MANY))
def test_any_bytes_are_as_one_by_one_or_left_to_it(planes: list[bytes | None]) -> None:
    together, alone = _both_ways(planes)
    assert together is None or together == alone


# Whole as rows of their own views, and as long as one of this view.
OF_OTHER_FORMS = [
    RowLayout(replace(PLANE, features=PLANE.features[::-1])).pack([149, 1999], NOW_MS / 1000),
    RowLayout(replace(PLANE, features=(feature("year", "int32"), feature("seats")))).pack([1999, 149], NOW_MS / 1000),
    b"\x02" + RowLayout(PLANE).pack([1999, 149], NOW_MS / 1000)[1:],
]


@pytest.mark.parametrize("other", OF_OTHER_FORMS)
@pytest.mark.parametrize("position", [0, MANY - 1])
def test_one_row_of_another_form_is_never_taken_for_one_of_this(other: bytes, position: int) -> None:
    planes = [RowLayout(PLANE).pack([1999, 149], NOW_MS / 1000)] * MANY
    assert _both_ways(planes)[0] is not None
    planes[position] = other
    assert len(other) == RowLayout(PLANE).size
    assert _both_ways(planes)[0] is None


@pytest.mark.parametrize("odd", [STALE, PARTLY, st.none(), st.just(b""), st.just(bytes(RowLayout(PLANE).size))])
@settings(max_examples=10)
@given(data=st.data())
def test_one_row_that_is_not_whole_is_never_taken_for_one(
    odd: st.SearchStrategy[bytes | None], data: st.DataObject
) -> None:
    planes: list[bytes | None] = [data.draw(WHOLE) for _ in range(MANY)]
    planes[data.draw(st.integers(0, MANY - 1))] = data.draw(odd)
    assert _both_ways(planes)[0] is None


def test_rows_of_two_lengths_that_add_up_are_no_rows() -> None:
    whole = RowLayout(PLANE).pack([1999, 149], NOW_MS / 1000)
    assert _both_ways([whole] * (MANY - 2) + [whole + b"\0", whole[:-1]])[0] is None


def test_few_requests_go_one_by_one_and_other_dtypes_together(plan: ReadPlan) -> None:
    rows = [plan.read([INSTANCE])] * FEWEST
    found = {row_key(PLANE, ["N1"]): RowLayout(PLANE).pack([1, 2], NOW_MS / 1000), **_route()}
    assert plan.whole_rows.tensors(rows[1:], found, NOW_MS) is None
    assert plan.whole_rows.tensors(rows, found, NOW_MS) is not None
    doubles = compile_plan(
        ModelInputs("late", (("x", COLUMNS),), (PLANE, ROUTE)), signature(TensorSpec("x", "FP64", (-1, 6)))
    )
    one = doubles.read([INSTANCE])
    assert (
        doubles.whole_rows.tensors([one] * FEWEST, found, NOW_MS)
        == [doubles.tensors(one, found, NOW_MS).tensors] * FEWEST
    )


def _both_ways(planes: list[bytes | None] | list[bytes]) -> tuple[list[list[object]] | None, list[list[object]]]:
    plan = flights()
    rows = [plan.read([{**INSTANCE, "tailnum": plane}]) for plane in PLANES]
    found = {**_route(), **{row_key(PLANE, [name]): row for name, row in zip(PLANES, planes, strict=True)}}
    together = plan.whole_rows.tensors(rows, found, NOW_MS)
    alone: list[list[object]] = [list(plan.tensors(one, found, NOW_MS).tensors) for one in rows]
    return None if together is None else [list(tensors) for tensors in together], alone


def _route() -> dict[bytes, bytes | None]:
    return {row_key(ROUTE, ["EWR", "IAH"]): RowLayout(ROUTE).pack([7.5, 0.5, 20], 0)}
