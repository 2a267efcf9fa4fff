"""Reads and writes rows of the session's feature views, each request on a connection of its own, off the loop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from serving.control.answers import NewRow
from serving.errors import BadRequest, UnknownEntity
from serving.features.feature_view import FeatureView
from serving.features.packed import Value
from serving.features.store.redis_store import EntityRow, RedisStore, StoredRow, refuse_to_write
from serving.features.tables.stored_value import entity_value, feature_value
from serving.features.value_words import shown


class FeatureRows:
    """Methods block; they raise `FeaturesAway` where the features Redis is away."""

    def __init__(self, url: str, views: Mapping[str, FeatureView]) -> None:
        self._url = url
        self.views = views

    def view(self, name: str) -> FeatureView:
        """The view of that name.

        Raises:
            UnknownEntity: there is none; lists those there are.
        """
        found = self.views.get(name)
        if found is None:
            known = ", ".join(self.views) or "none in this session's configuration"
            raise UnknownEntity(f"there is no feature view {name!r}; there are {known}")
        return found

    def get(self, name: str, key: Sequence[str]) -> dict[str, Any]:
        """What is stored of an entity, and what became of it.

        Raises:
            UnknownEntity: no such view.
            BadRequest: not as many values as the view's entity has fields.
        """
        view = self.view(name)
        entity = _entity(view, "key", key)
        with RedisStore(self._url) as store:
            return _told(view, entity, store.get(view, entity, time.time()))

    def put(self, name: str, rows: Sequence[NewRow]) -> dict[str, Any]:
        """Replace the rows of these entities; all are judged before the first is written.

        Raises:
            UnknownEntity: no such view.
            BadRequest: Feast writes the view's rows; or a row does not fit, then names its place and what is wrong.
        """
        view = self.view(name)
        refuse_to_write(view)
        now_s = time.time()
        ready = [_row(view, place, row, now_s) for place, row in enumerate(rows)]
        with RedisStore(self._url) as store:
            return {"view": name, "written": store.put(view, ready)}


def _row(view: FeatureView, place: int, row: NewRow, now_s: float) -> EntityRow:
    entity = _entity(view, f"rows.{place}.key", row.key)
    for name, value in zip(view.entity, entity, strict=True):
        try:
            entity_value(name, value)
        except ValueError as refused:
            raise BadRequest(f"rows.{place}.key: {name} {shown(value)}: {refused}") from None
    values = _values(view, place, row.values)
    return EntityRow(entity, values, now_s if row.event_time_s is None else row.event_time_s)


def _values(view: FeatureView, place: int, given: Mapping[str, Value]) -> list[Value]:
    names = [feature.name for feature in view.features]
    strange = next((name for name in given if name not in names), None)
    if strange is not None:
        known = ", ".join(names)
        raise BadRequest(f"rows.{place}.values: view {view.name!r} has no feature {shown(strange)}; it has {known}")
    values = []
    for feature in view.features:
        try:
            values.append(feature_value(feature, given.get(feature.name)))
        except ValueError as refused:
            raise BadRequest(f"rows.{place}.values.{feature.name}: {refused}") from None
    return values


def _entity(view: FeatureView, place: str, key: Sequence[str]) -> tuple[str, ...]:
    if len(key) != len(view.entity):
        fields = ", ".join(view.entity)
        raise BadRequest(f"{place}: view {view.name!r} is found by {fields}; give {len(view.entity)} in that order")
    return tuple(key)


def _told(view: FeatureView, entity: Sequence[str], stored: StoredRow) -> dict[str, Any]:
    row = stored.row
    names = [feature.name for feature in view.features]
    values = None if row is None else {n: _finite(v) for n, v in zip(names, row.values, strict=True)}
    return {
        "view": view.name,
        "entity": dict(zip(view.entity, entity, strict=True)),
        "status": stored.status,
        "event_time_s": None if row is None else row.event_time_ms / 1000,
        "values": values,
    }


def _finite(value: Value) -> Value:
    # JSON knows no others.
    return value if value is None or math.isfinite(value) else None
