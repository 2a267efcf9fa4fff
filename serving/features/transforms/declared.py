"""Transforms as a configuration declares them, `{cyclic: request.hour, period: 24}`, to what can be applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from serving.features.transforms.numeric import WEEK_DAYS
from serving.features.transforms.transform import Clip, Cyclic, Hash, Haversine, Log, Lookup, OneHot, Ratio, Transform
from serving.features.transforms.words import word

Options = Mapping[str, Any]

# Columns that one transform may make, and buckets; more is a mistake in a file.
MOST_COLUMNS = 4_096
MOST_BUCKETS = 2**24


class _Kind(NamedTuple):
    """How many columns it takes, which options it must and may have, and how it is made of them."""

    takes: int
    must: tuple[str, ...]
    may: tuple[str, ...]
    make: Callable[[tuple[str, ...], Options], Transform]


def declared(given: Mapping[str, Any]) -> Transform:
    """The transform.

    Raises:
        ValueError: a sentence that says what is wrong and what would be right.
    """
    named = [name for name in given if name in KINDS]
    if len(named) != 1:
        raise ValueError(f"a transform names one of {', '.join(KINDS)}; got {', '.join(map(str, given)) or 'nothing'}")
    name = named[0]
    kind = KINDS[name]
    columns = _columns(name, given[name], kind.takes)
    known = (*kind.must, *kind.may)
    for option in given:
        if option != name and option not in known:
            raise ValueError(f"{name} has no option {option!r}; it has {', '.join(known) or 'none'}")
    for option in kind.must:
        if option not in given:
            raise ValueError(f"{name} needs {option}")
    return kind.make(columns, {option: given[option] for option in given if option != name})


def _columns(name: str, given: object, takes: int) -> tuple[str, ...]:
    columns = given if isinstance(given, list | tuple) else [given]
    if len(columns) != takes or not all(isinstance(column, str) for column in columns):
        what = "one column" if takes == 1 else f"a list of {takes} columns"
        raise ValueError(f"{name} takes {what}, <view>.<feature> or request.<field>; got {given!r:.80}")
    return tuple(columns)


def _cyclic(columns: tuple[str, ...], options: Options) -> Transform:
    part = options.get("of")
    if (part is None) == ("period" not in options):
        raise ValueError("cyclic needs either period, a number, or of, hour or weekday of seconds since 1970")
    if part is None:
        if "utc_offset_h" in options:
            raise ValueError("cyclic with a period has no utc_offset_h; it is for hour and weekday")
        period = _number("cyclic", "period", options["period"])
        if period <= 0:
            raise ValueError(f"cyclic: period must be above 0, got {period:g}")
        return Cyclic(columns, period)
    if part not in ("hour", "weekday"):
        raise ValueError(f"cyclic: of must be hour or weekday, got {part!r:.80}")
    offset_h = _number("cyclic", "utc_offset_h", options.get("utc_offset_h", 0.0))
    return Cyclic(columns, 24.0 if part == "hour" else WEEK_DAYS, part, offset_h)


def _clip(columns: tuple[str, ...], options: Options) -> Transform:
    low, high = (_number("clip", side, options[side]) if side in options else None for side in ("low", "high"))
    if low is None and high is None:
        raise ValueError("clip needs low, high or both")
    if low is not None and high is not None and low > high:
        raise ValueError(f"clip: low {low:g} is above high {high:g}")
    return Clip(columns, low, high)


def _lookup(columns: tuple[str, ...], options: Options) -> Transform:
    otherwise = _entry("otherwise", options["otherwise"])
    table = options["table"]
    if not isinstance(table, Mapping) or not table:
        raise ValueError(f"lookup: table must map words to numbers, got {table!r:.80}")
    entries: dict[bytes, tuple[float, ...]] = {}
    for key, value in table.items():
        entry = _entry(f"table, {key!r:.80}", value)
        if len(entry) != len(otherwise):
            raise ValueError(f"lookup: {key!r:.80} has {len(entry)} numbers, and otherwise {len(otherwise)}")
        entries[_word("lookup", key, entries)] = entry
    return Lookup(columns, tuple(entries.items()), otherwise)


def _one_hot(columns: tuple[str, ...], options: Options) -> Transform:
    values = options["values"]
    if not isinstance(values, list | tuple) or not 0 < len(values) <= MOST_COLUMNS:
        raise ValueError(f"one_hot: values must be a list of 1 to {MOST_COLUMNS} words, got {values!r:.80}")
    words: dict[bytes, None] = {}
    for value in values:
        words[_word("one_hot", value, words)] = None
    return OneHot(columns, tuple(words))


def _hash(columns: tuple[str, ...], options: Options) -> Transform:
    buckets, apart = options["buckets"], options.get("columns", False)
    if type(apart) is not bool:
        raise ValueError(f"hash: columns must be true or false, got {apart!r:.80}")
    most = MOST_COLUMNS if apart else MOST_BUCKETS
    if type(buckets) is not int or not 1 < buckets <= most:
        raise ValueError(f"hash: buckets must be a whole number from 2 to {most}, got {buckets!r:.80}")
    return Hash(columns, buckets, apart)


def _word(kind: str, given: object, known: Mapping[bytes, object]) -> bytes:
    try:
        found = word(given)
    except ValueError as error:
        # YAML takes NO for false, and 1.0 for no whole number.
        raise ValueError(f"{kind}: {error}; text like that is written in quotes") from None
    if found in known:
        raise ValueError(f"{kind} names {found.decode()!r} twice (7 and '7' are one word)")
    return found


def _entry(where: str, given: object) -> tuple[float, ...]:
    values: Sequence[object] = given if isinstance(given, list | tuple) else [given]
    if not 0 < len(values) <= MOST_COLUMNS:
        raise ValueError(f"lookup: {where} must have 1 to {MOST_COLUMNS} numbers")
    return tuple(_number("lookup", where, value) for value in values)


def _number(kind: str, what: str, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given):
        raise ValueError(f"{kind}: {what} must be a number, got {given!r:.80}")
    return float(given)


KINDS: Mapping[str, _Kind] = {
    "cyclic": _Kind(1, (), ("period", "of", "utc_offset_h"), _cyclic),
    "log": _Kind(1, (), (), lambda columns, _: Log(columns, plus_one=False)),
    "log1p": _Kind(1, (), (), lambda columns, _: Log(columns, plus_one=True)),
    "clip": _Kind(1, (), ("low", "high"), _clip),
    "ratio": _Kind(2, ("otherwise",), (), lambda c, given: Ratio(c, _number("ratio", "otherwise", given["otherwise"]))),
    "haversine": _Kind(4, (), (), lambda columns, _: Haversine(columns)),
    "lookup": _Kind(1, ("table", "otherwise"), (), _lookup),
    "one_hot": _Kind(1, ("values",), (), _one_hot),
    "hash": _Kind(1, ("buckets",), ("columns",), _hash),
}
