"""A session on its way from one configuration to another: workers of both answer, each by a table of its own."""

from __future__ import annotations

from serving.inference import VersionKey
from serving.processes.session_plan import ServedModel
from serving.processes.session_reload import Following
from serving.routing.table import EMPTY, RouteTable


class Changeover:
    """`handed` is what workers of the new configuration were told last, made of `basis`, the table in force then.

    Nobody has published it: its epoch is one that an order may give to another table meanwhile.
    """

    def __init__(self, new: Following, before: RouteTable, models: dict[VersionKey, ServedModel]) -> None:
        self._new = new
        self._before = before
        self.models = models
        self.basis = self.handed = EMPTY

    def made_of(self, now: RouteTable) -> RouteTable:
        """What the new configuration makes of the table in force, above what was made before unless it is the same."""
        table = self._new.merged(now, self._before)
        if table.epoch <= self.handed.epoch:
            if table.routes != self.handed.routes:
                table = RouteTable(self.handed.epoch + 1, table.routes)
            elif table.epoch < self.handed.epoch or table is not now:
                table = self.handed
        self.basis, self.handed = now, table
        return table
