"""The part of the control API that reads and writes rows of features."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from serving.control.answers import FeatureSeen, NewRows, RowSeen, Views, ViewSeen, Written, failures
from serving.control.feature_rows import FeatureRows

ViewName = Annotated[
    str, Path(min_length=1, max_length=100, description="Name of the feature view.", examples=["plane"])
]
Key = Annotated[
    list[str],
    Query(
        min_length=1,
        max_length=16,
        description="The entity's values, in the order of the view.",
        examples=[["N14228"]],
    ),
]

router = APIRouter(prefix="/api/v1/features", tags=["features"], responses=failures(401, 403, 500))


def _rows(request: Request) -> FeatureRows:
    rows: FeatureRows = request.app.state.rows
    return rows


@router.get("")
async def views(request: Request) -> Views:
    """Every feature view of the configuration."""
    found = [
        ViewSeen(
            name=view.name,
            entity=list(view.entity),
            features=[FeatureSeen(name=feature.name, dtype=feature.dtype) for feature in view.features],
            max_age_s=view.max_age_s,
        )
        for view in _rows(request).views.values()
    ]
    return Views(views=found)


@router.get("/{view}", responses=failures(400, 404, 503))
async def row(request: Request, view: ViewName, key: Key) -> RowSeen:
    """The row of one entity, and whether gateways would use it."""
    return RowSeen.model_validate(await asyncio.to_thread(_rows(request).get, view, key))


@router.post("/{view}", responses=failures(400, 404, 503))
async def write(request: Request, view: ViewName, new: NewRows) -> Written:
    """Replace the rows of these entities; requests read them from then on."""
    return Written.model_validate(await asyncio.to_thread(_rows(request).put, view, new.rows))
