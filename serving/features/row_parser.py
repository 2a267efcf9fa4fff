"""One row of a table, cell by cell, to what is stored; or why it cannot be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module calls it just `error`
from typing import Any

from serving.errors import BadRequest
from serving.features.feature_view import DTYPES, Feature, FeatureView
from serving.features.keys import netstring
from serving.features.packed import Value
from serving.features.redis_store import EntityRow, EntityValue

# The year 9999, before which `datetime` ends too.
_FURTHEST_S = 253_402_300_800.0
_LONGEST_HEADER = 200
_TRUTH: Mapping[str, int] = {"true": 1, "false": 0, "1": 1, "0": 0}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not taken; lines count from 1, `cells` stand as they were read."""

    line: int
    column: str
    reason: str
    cells: Sequence[object]


class RowParser:
    """Knows which column of a table is what.

    Raises `BadRequest` from the constructor where a column is missing, doubled, or none of the view's.
    """

    def __init__(self, view: FeatureView, columns: Sequence[str], event_time: str | None, now_s: float) -> None:
        _check(view, columns, event_time)
        place = {name: position for position, name in enumerate(columns)}
        self._columns = columns
        self._entity = [(name, place[name]) for name in view.entity]
        self._features = [(one, place[one.name], Struct("<" + DTYPES[one.dtype])) for one in view.features]
        self._event_time = None if event_time is None else (event_time, place[event_time])
        self._now_s = now_s

    def row(self, line: int, cells: Sequence[object]) -> EntityRow | BadRow:
        """The row of one line."""
        if len(cells) != len(self._columns):
            return BadRow(line, "", f"has {len(cells)} cells, the header has {len(self._columns)}", cells)
        column = ""
        try:
            entity = []
            for column, position in self._entity:
                entity.append(_entity_value(column, cells[position]))
            values = []
            for feature, position, struct in self._features:
                column = feature.name
                values.append(feature_value(feature, cells[position], struct))
            event_time_s = self._now_s
            if self._event_time is not None:
                column, position = self._event_time
                event_time_s = _seconds(cells[position])
        except ValueError as error:
            return BadRow(line, column, str(error), cells)
        return EntityRow(tuple(entity), values, event_time_s)


def feature_value(feature: Feature, cell: object, struct: Struct | None = None) -> Value:
    """A cell as the feature's dtype; None for an empty one or NaN.

    Raises:
        ValueError: it is no such value; says what is wanted.
    """
    if isinstance(cell, str):
        cell = cell.strip()
    if cell is None or cell == "":
        return None
    try:
        value = _number(feature.dtype, cell)
        if isnan(value):
            return None
        (struct or Struct("<" + DTYPES[feature.dtype])).pack(value)
    except (ValueError, TypeError, KeyError, OverflowError, StructError):
        raise ValueError(f"{shown(cell)} is no {feature.dtype}") from None
    return value


def shown(cell: object) -> str:
    """A cell for a message, cut where it is long."""
    text = repr(cell)
    return text if len(text) <= 60 else text[:60] + "..."  # noqa: PLR2004 - fits a line


def _number(dtype: str, cell: Any) -> float:  # noqa: ANN401 - whatever a table holds
    if dtype == "bool":
        return _TRUTH[str(cell).lower()]
    if dtype in {"float32", "float64"}:
        return float(cell)
    if isinstance(cell, int):
        return cell
    try:
        return int(cell) if isinstance(cell, str) else _whole(cell)
    except ValueError:
        # Spreadsheets write whole numbers of a column with gaps as 2004.0.
        return _whole(float(cell))


def _whole(number: float) -> float:
    if isnan(number):
        return number
    if not number.is_integer():
        raise ValueError
    return int(number)


def _entity_value(name: str, cell: object) -> EntityValue:
    if cell is None or cell == "":
        raise ValueError("is empty, and identifies the row")
    value: EntityValue = cell if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)
    try:
        netstring(name, value)
    except BadRequest as refused:
        raise ValueError(refused.message) from None
    return value


def _seconds(cell: object) -> float:
    try:
        seconds = cell.timestamp() if isinstance(cell, datetime) and cell.tzinfo else float(str(cell))
    except ValueError:
        try:
            moment = datetime.fromisoformat(str(cell).strip())
        except ValueError:
            raise ValueError(f"{shown(cell)} is no time; write ISO 8601 or seconds since 1970") from None
        # A time without a zone is taken for UTC, here and on every other machine.
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not abs(seconds) < _FURTHEST_S:
        raise ValueError(f"{shown(cell)} is no time of the years that are known")
    return seconds


def _check(view: FeatureView, columns: Sequence[str], event_time: str | None) -> None:
    extra = [event_time] if event_time is not None else []
    wanted = [*view.entity, *(feature.name for feature in view.features), *extra]
    doubled = [name for name in columns if columns.count(name) > 1]
    if doubled:
        raise BadRequest(f"the column {doubled[0]!r} stands twice")
    missing = [name for name in wanted if name not in columns]
    if missing:
        has = f"view {view.name!r} has {', '.join(wanted)}, the file {_some(columns)}"
        raise BadRequest(f"the column {missing[0]!r} is missing; {has}")
    unknown = [name for name in columns if name not in wanted]
    if unknown:
        raise BadRequest(f"the column {unknown[0]!r} is unknown; view {view.name!r} has {', '.join(wanted)}")


def _some(columns: Sequence[str]) -> str:
    """As they were read: what separates them, or in what they are written, may be what is wrong."""
    text = ascii(", ".join(columns))
    return text if len(text) <= _LONGEST_HEADER else text[:_LONGEST_HEADER] + "..."
