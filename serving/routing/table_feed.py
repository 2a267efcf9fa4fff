"""Follows the routing table: the newest epoch wins, and the last good table is kept on local disk for a restart."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from serving.errors import ConfigInvalid
from serving.routing.table import EMPTY, RouteTable, dump, load

log = logging.getLogger(__name__)


class TableFeed:
    """Holds the table in force and calls `adopted` when a newer one replaces it.

    A table with a lower epoch, an unreadable one, or none at all changes nothing: predictions never need the control
    plane to be well.
    """

    def __init__(self, cache: Path | None, adopted: Callable[[RouteTable], None]) -> None:
        self._cache = cache
        self._adopted = adopted
        self.table = EMPTY

    def restore(self) -> None:
        """Begin with the last good table of an earlier process, if there is one."""
        if self._cache is None:
            return
        try:
            data = self._cache.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("the routing table kept in %s cannot be read: %s", self._cache, error)
            return
        self.offer(data)

    def offer(self, data: bytes | None) -> bool:
        """Adopt the table if it is newer than the one in force; tell whether it was."""
        if data is None:
            return False
        try:
            table = load(data)
        except ConfigInvalid as error:
            log.warning("a routing table was ignored: %s", error)
            return False
        if table.epoch <= self.table.epoch:
            return False
        self.table = table
        self._keep(table)
        self._adopted(table)
        log.debug("the routing table of epoch %d is in force, with %d models", table.epoch, len(table.routes))
        return True

    def _keep(self, table: RouteTable) -> None:
        if self._cache is None:
            return
        fresh = self._cache.with_suffix(f".{os.getpid()}.new")
        try:
            fresh.write_bytes(dump(table))
            fresh.replace(self._cache)
        except OSError as error:
            # A full disk must not stop a table from being used; only a restart without Redis would miss it.
            log.warning("the routing table could not be kept in %s: %s", self._cache, error)
