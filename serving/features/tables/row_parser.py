"""One row of a table, cell by cell, to what is stored; or why it cannot be taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct

from serving.errors import BadRequest
from serving.features.feature_view import DTYPES, FeatureView
from serving.features.store.redis_store import EntityRow
from serving.features.tables.stored_value import FURTHEST_S, entity_value, feature_value
from serving.features.value_words import shown

# In front of the columns of a rejects file, which is loaded without them. No feature's name has a dot.
REJECT_COLUMNS = ("rejected.line", "rejected.column", "rejected.reason")
_LONGEST_HEADER = 200


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
        self._entity = [(name, place[name]) for name in view.entity]
        self._features = [(one, place[one.name], Struct("<" + DTYPES[one.dtype])) for one in view.features]
        self._event_time = None if event_time is None else (event_time, place[event_time])
        self._now_s = now_s

    def event_times_s(self, columns: Sequence[Sequence[object]], count: int) -> list[float]:
        """When the facts of rows held, of which there are the columns.

        Raises:
            ValueError: one is no time.
        """
        if self._event_time is None:
            return [self._now_s] * count
        return [_seconds(cell) for cell in columns[self._event_time[1]]]

    def row(self, line: int, cells: Sequence[object]) -> EntityRow | BadRow:
        """The row of one line, with a cell for each column."""
        column = ""
        try:
            entity = []
            for column, position in self._entity:
                entity.append(entity_value(column, cells[position]))
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


def _seconds(cell: object) -> float:
    try:
        seconds = cell.timestamp() if isinstance(cell, datetime) and cell.tzinfo else _plain(str(cell))
    except ValueError:
        try:
            moment = datetime.fromisoformat(str(cell).strip())
        except ValueError:
            raise ValueError(f"{shown(cell)} is no time; write ISO 8601 or seconds since 1970") from None
        # A time without a zone is taken for UTC, here and on every other machine.
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not abs(seconds) < FURTHEST_S:
        raise ValueError(f"{shown(cell)} is no time of the years that are known")
    return seconds


def _plain(text: str) -> float:
    if "_" in text:
        raise ValueError
    return float(text)


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
