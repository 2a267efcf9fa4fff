"""Transforms of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.features.transforms import numeric
from serving.features.transforms.numeric import Numbers

EVERY: dict[str, Callable[[Numbers], Numbers]] = {
    "sin": lambda x: numeric.cyclic(x, 24.0)[0],
    "cos": lambda x: numeric.cyclic(x, 24.0)[1],
    "hour": lambda x: numeric.hour_of_day(x, 2.5),
    "weekday": numeric.weekday,
    "log": numeric.log,
    "log1p": numeric.log1p,
    "clip": lambda x: numeric.clip(x, -1.0, 7.5),
    "ratio": lambda x: numeric.ratio(x, x[::-1][::-1] - 1.0, 0.0),
    "haversine": lambda x: numeric.haversine(x, x * 2.0, x / 3.0, x + 1.0),
}
ANY = st.floats(-1e12, 1e12) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0])


@pytest.mark.parametrize("name", EVERY)
@given(values=st.lists(ANY, min_size=1, max_size=70))
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_row_has_the_same_bits_alone_among_others_and_in_a_column_of_a_table(name: str, values: list[float]) -> None:
    apply = EVERY[name]
    together = apply(np.array(values))
    alone = np.concatenate([apply(np.array([value])) for value in values])
    strided = apply(np.array([values, values]).T[:, 1])
    assert together.tobytes() == alone.tobytes() == strided.tobytes()


def test_cyclic_values_meet_where_they_begin_anew() -> None:
    sine, cosine = numeric.cyclic([0, 6, 12, 24, 23.5], 24)
    assert np.allclose(sine, [0, 1, 0, 0, math.sin(-math.pi / 24)])
    assert np.allclose(cosine, [1, 0, -1, 1, math.cos(math.pi / 24)])


@pytest.mark.parametrize("day", range(1, 8))
def test_hours_and_weekdays_are_those_of_the_calendar(day: int) -> None:
    when = datetime(2013, 12, day, 17, 45, tzinfo=UTC)
    assert numeric.hour_of_day([when.timestamp()])[0] == 17.75
    assert numeric.hour_of_day([when.timestamp()], utc_offset_h=-5)[0] == 12.75
    assert numeric.weekday([when.timestamp()])[0] == when.weekday()
    assert numeric.weekday([when.timestamp()], utc_offset_h=7)[0] == (when.weekday() + 1) % 7
    assert numeric.weekday([-1.0])[0] == 2, "the last second of 1969 was a Wednesday"


def test_logarithms_of_what_has_none_are_infinite_or_nan_and_no_warning() -> None:
    assert numeric.log([1.0, 0.0, -1.0]).tolist()[:2] == [0.0, -math.inf]
    assert np.isnan(numeric.log([-1.0])[0])
    assert numeric.log1p([math.e - 1, -1.0]).tolist() == [1.0, -math.inf]


def test_clip_keeps_what_is_between() -> None:
    assert numeric.clip([-5, 0.5, 9], 0, 1).tolist() == [0, 0.5, 1]
    assert numeric.clip([-5, 9], low=0).tolist() == [0, 9]
    assert numeric.clip([-5, 9], high=0).tolist() == [-5, 0]
    assert np.isnan(numeric.clip([math.nan], 0, 1)[0])


def test_a_ratio_by_nothing_is_what_its_owner_says() -> None:
    by = [2.0, 0.0, math.nan, 1e-300]
    assert numeric.ratio([1.0, 1.0, 1.0, 1e300], by, -7.0).tolist() == [0.5, -7.0, -7.0, -7.0]


def test_haversine_is_the_distance_between_places() -> None:
    # New York (JFK) to London (LHR), 5,540 km; opposite places are half of the circumference apart.
    assert numeric.haversine([40.6398], [-73.7789], [51.4706], [-0.461941])[0] == pytest.approx(5_540, abs=5)
    assert numeric.haversine([0.0, 90.0], [0.0, 0.0], [0.0, -90.0], [180.0, 0.0]) == pytest.approx(
        [math.pi * numeric.EARTH_KM] * 2
    )
    assert numeric.haversine([1.0], [2.0], [1.0], [2.0]).tolist() == [0.0]
