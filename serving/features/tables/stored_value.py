"""What may be stored of an entity, whoever writes it: a table, a command or the control API."""

from __future__ import annotations

from decimal import Decimal
from math import isinf, isnan
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module calls it just `error`

from serving.errors import BadRequest
from serving.features.feature_view import DTYPES, Feature
from serving.features.keys import EntityValue, netstring
from serving.features.packed import Value
from serving.features.value_words import shown

# Event times lie nearer to 1970 than this: the year 9999, before which `datetime` ends too.
FURTHEST_S = 253_402_300_800.0
# From here on not every whole number is a float, and two ids may be the same one.
_FIRST_WITH_GAPS = 2.0**53


def feature_value(feature: Feature, given: object, struct: Struct | None = None) -> Value:
    """What is written as the feature's dtype; None for nothing, empty text or NaN.

    Raises:
        ValueError: it is no such value; says what is wanted.
    """
    try:
        value = _of_dtype(feature.dtype, given.strip() if isinstance(given, str) else given)
        if value is None or isnan(value):
            return None
        (struct or Struct("<" + DTYPES[feature.dtype])).pack(value)
    except (ValueError, ArithmeticError, StructError):
        raise ValueError(f"{shown(given)} is no {feature.dtype}") from None
    if isinf(value):
        raise ValueError(f"{shown(given)} is not finite")
    if feature.bounds is not None and not feature.bounds[0] <= value <= feature.bounds[1]:
        raise ValueError(f"{shown(given)} is out of range, from {feature.bounds[0]} to {feature.bounds[1]}")
    return value


def entity_value(name: str, given: object) -> EntityValue:
    """An id as callers can ask for it: text, or a whole number.

    Raises:
        ValueError: it is empty, or no id.
    """
    value = _id(given)
    if value is None or value == "":
        raise ValueError("is empty, and identifies the row")
    try:
        netstring(name, value)
    except BadRequest as refused:
        raise ValueError(refused.message) from None
    return value


def _of_dtype(dtype: str, given: object) -> Value:
    if given is None or given == "":
        return None
    # To Python 1_0 is ten; in a table it is a mistake.
    if isinstance(given, str) and "_" in given:
        raise ValueError
    if dtype == "bool":
        return _truth(given)
    if dtype in {"float32", "float64"}:
        return float(given) if isinstance(given, str) else float(_number(given))
    if isinstance(given, str):
        try:
            return int(given)
        except ValueError:
            # Spreadsheets write whole numbers of a column with gaps as 2004.0.
            return _whole(float(given))
    return _whole(_number(given))


def _number(given: object) -> float | Decimal:
    # To Python a boolean is a number as well.
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal):
        raise ValueError  # noqa: TRY004 - told like every other value that does not fit
    return given


def _truth(given: object) -> Value:
    if isinstance(given, str):
        word = given.lower()
        given = word == "true" if word in {"true", "false"} else float(word)
    if isinstance(given, float) and isnan(given):
        return given
    if given not in (0, 1):
        raise ValueError
    return int(given == 1)


def _whole(number: float | Decimal) -> float:
    if isinstance(number, int):
        return number
    if isnan(number):
        return float(number)
    if number != int(number):
        raise ValueError
    return int(number)


def _id(given: object) -> EntityValue | None:
    if isinstance(given, float):
        # A column of whole numbers with gaps is one of floats to who wrote the table.
        if isnan(given):
            return None
        return int(given) if given.is_integer() and abs(given) < _FIRST_WITH_GAPS else _no_id(given)
    if isinstance(given, bytes):
        try:
            return given.decode()
        except UnicodeDecodeError:
            return _no_id(given)
    if given is None or (isinstance(given, str | int) and not isinstance(given, bool)):
        return given
    return _no_id(given)


def _no_id(given: object) -> EntityValue:
    raise ValueError(f"{shown(given)} is no id; ids are text or whole numbers")
