"""How one row of a feature view is told."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from serving.features.feature_status import PRESENT, STALE
from serving.features.feature_view import FeatureView
from serving.features.packed import Row, Value
from serving.features.store.redis_store import StoredRow

_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


def named(view: FeatureView, key: Sequence[str]) -> str:
    """`plane, tailnum N14228`."""
    return ", ".join([view.name, *(f"{name} {value}" for name, value in zip(view.entity, key, strict=True))])


def title(view: FeatureView, key: Sequence[str], stored: StoredRow, now_s: float) -> str:
    """Whose row it is, when its facts held, and whether it is too old."""
    if stored.row is None:
        return named(view, key)
    event_time_s = stored.row.event_time_ms / 1000
    stale = "  too old: gateways use defaults" if stored.status == STALE else ""
    return f"{named(view, key)}  {_moment(event_time_s)} ({_ago(now_s - event_time_s)}){stale}"


def values(view: FeatureView, row: Row) -> list[tuple[str, str, str]]:
    """Each feature with its value and dtype; an absent one with the default that stands in."""
    told = []
    for feature, value in zip(view.features, row.values, strict=True):
        text = _short(value) if feature.dtype == "float32" and value is not None else str(value)
        told.append((feature.name, text if value is not None else f"absent, {feature.default} instead", feature.dtype))
    return told


def document(view: FeatureView, key: Sequence[str], stored: StoredRow, now_s: float) -> dict[str, object]:
    """The same for programs; `values` is null where there is no row that can be read."""
    row = stored.row
    names = [feature.name for feature in view.features]
    return {
        "view": view.name,
        "entity": dict(zip(view.entity, key, strict=True)),
        "status": stored.status,
        "used": stored.status == PRESENT,
        "event_time": None if row is None else _moment(row.event_time_ms / 1000),
        "age_s": None if row is None else round(now_s - row.event_time_ms / 1000, 3),
        "values": None if row is None else dict(zip(names, row.values, strict=True)),
    }


def refreshed(view: FeatureView, before: StoredRow, changed: Mapping[str, Value], now_s: float) -> str:
    """What whoever changed some values of a row that was too old has to know of its others; "" where it has none."""
    if before.row is None or before.status != STALE:
        return ""
    names = [
        one.name
        for one, value in zip(view.features, before.row.values, strict=True)
        if value is not None and one.name not in changed
    ]
    if not names:
        return ""
    ago = _ago(now_s - before.row.event_time_ms / 1000)
    verb = "counts" if len(names) == 1 else "count"
    return f"the row was too old ({ago}): its {', '.join(names)} {verb} as fresh from now on; set what no longer holds"


def _short(value: float) -> str:
    """As few digits as tell it from every other float32; as a float of 64 bits, 0.1 would be 0.10000000149011612."""
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == struct.pack("<f", value):
            return text
    return f"{value:.9g}"


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        # Whoever wrote the row may have written any number.
        return f"{seconds:.0f} s after 1970"


def _ago(seconds: float) -> str:
    for unit, name in _UNITS:
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{seconds:.0f} s ago"
