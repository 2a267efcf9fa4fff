"""A request whose feature rows are being read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from serving.features.entity_rows import EntityRows
from serving.features.plan_in_use import PlanInUse
from serving.inference import Request

Then = Callable[[Request], None]


class Waiting(NamedTuple):
    """A request whose rows are being read since `began` by a plan `in_use`, and what to call with it then."""

    request: Request
    rows: EntityRows
    in_use: PlanInUse
    then: Then
    began: float
