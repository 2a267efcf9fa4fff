"""Transforms of numbers: float64 arrays in, float64 arrays out, each element by itself.

A row's result does not depend on the rows beside it, so that a training table as a whole and a request of one row give
the same bits. Operands are made contiguous first: of strided arrays NumPy computes some functions by another routine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

HOUR_S, DAY_S, WEEK_DAYS = 3_600.0, 86_400.0, 7.0
# 1970-01-01 was a Thursday, and Monday is day 0.
_FIRST_WEEKDAY = 3.0
# Mean radius of the earth, IUGG.
EARTH_KM = 6_371.0088


def numbers(values: ArrayLike) -> Numbers:
    """A column as every function here takes it: float64, one dimension, contiguous."""
    return np.ascontiguousarray(values, np.float64)


def cyclic(values: ArrayLike, period: float) -> tuple[Numbers, Numbers]:
    """Sine and cosine of a value that begins anew after each `period`: 23 and 0 of 24 are neighbours."""
    angle = numbers(values) * (2.0 * np.pi / period)
    return np.sin(angle), np.cos(angle)


def hour_of_day(seconds: ArrayLike, utc_offset_h: float = 0.0) -> Numbers:
    """Hours since midnight, with fractions, of seconds since 1970 (UTC)."""
    return np.mod(numbers(seconds) + utc_offset_h * HOUR_S, DAY_S) / HOUR_S


def weekday(seconds: ArrayLike, utc_offset_h: float = 0.0) -> Numbers:
    """0 for Monday to 6 for Sunday, of seconds since 1970 (UTC)."""
    days = np.floor((numbers(seconds) + utc_offset_h * HOUR_S) / DAY_S)
    return np.mod(days + _FIRST_WEEKDAY, WEEK_DAYS)


def log(values: ArrayLike) -> Numbers:
    """The natural logarithm; of 0 it is minus infinity, below NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(numbers(values))


def log1p(values: ArrayLike) -> Numbers:
    """The natural logarithm of 1 + x, exact near 0; of -1 it is minus infinity, below NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log1p(numbers(values))


def clip(values: ArrayLike, low: float | None = None, high: float | None = None) -> Numbers:
    """Nothing below `low` or above `high`; NaN stays NaN."""
    clipped = numbers(values)
    if low is not None:
        clipped = np.maximum(clipped, low)
    return clipped if high is None else np.minimum(clipped, high)


def ratio(values: ArrayLike, by: ArrayLike, otherwise: float) -> Numbers:
    """`values / by`, and `otherwise` where that is no finite number: by 0, or where one of them is NaN or infinite."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        divided = numbers(values) / numbers(by)
    finite: Numbers = np.where(np.isfinite(divided), divided, otherwise)
    return finite


def haversine(latitude: ArrayLike, longitude: ArrayLike, to_latitude: ArrayLike, to_longitude: ArrayLike) -> Numbers:
    """Kilometres between two places in degrees, along a sphere of the earth's mean radius (0.5 % of error at most)."""
    start, end = np.radians(numbers(latitude)), np.radians(numbers(to_latitude))
    along = np.sin((end - start) / 2.0)
    across = np.sin((np.radians(numbers(to_longitude)) - np.radians(numbers(longitude))) / 2.0)
    # Rounding may lead above 1 for opposite places.
    chord = np.minimum(along * along + np.cos(start) * np.cos(end) * across * across, 1.0)
    distance: Numbers = 2.0 * EARTH_KM * np.arcsin(np.sqrt(chord))
    return distance
