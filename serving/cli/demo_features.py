"""The example's tables in the session's features Redis, and what of them one flight is predicted from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from rich.table import Table

from deployments.flights.sample import CONFIGURATION, DATA, Flight
from serving.cli.feature_row import values
from serving.cli.feature_store import Where, store_of
from serving.cli.output import table
from serving.config.settings import Settings
from serving.features.feature_view import FeatureView
from serving.features.store.redis_store import EntityRow, RedisStore
from serving.features.tables.row_file import open_rows
from serving.processes.running_sessions import RunningSession


def store_of_session(settings: Settings, running: RunningSession) -> AbstractContextManager[RedisStore]:
    """The features Redis that the session's gateways read.

    Raises:
        CommandFailed: it does not answer.
    """
    return store_of(settings, Where(CONFIGURATION, http_port=running.http_port))


def load_tables(store: RedisStore, settings: Settings) -> dict[str, int]:
    """Every table of the example; how many rows of each view were written."""
    return {view.name: store.put(view, _rows(view)) for view in _views(settings)}


def looked_up(store: RedisStore, settings: Settings, flight: Flight) -> Table:
    """What the gateway finds for one flight's ids."""
    return table(
        ["looked up", "found"], [(_ids(view, flight), _found(store, view, flight)) for view in _views(settings)]
    )


def _views(settings: Settings) -> list[FeatureView]:
    return [section.compiled(name) for name, section in settings.feature_views.items()]


def _rows(view: FeatureView) -> Iterator[EntityRow]:
    # The tables are our own: a row that cannot be read is a defect, which the tests of the example find.
    rows = open_rows(DATA / f"{view.name}.csv", view, None, time.time()).rows
    return (row for row in rows if isinstance(row, EntityRow))


def _ids(view: FeatureView, flight: Flight) -> str:
    return f"{view.name} {' '.join(flight.entities[name] for name in view.entity)}"


def _found(store: RedisStore, view: FeatureView, flight: Flight) -> str:
    stored = store.get(view, [flight.entities[name] for name in view.entity], time.time())
    if stored.row is None:
        return "no row: defaults stand in"
    return ", ".join(f"{name} {value}" for name, value, _ in values(view, stored.row))
