"""What the control API answers, as its OpenAPI document shows it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from serving.features.tables.stored_value import FURTHEST_S


class Failure(BaseModel):
    """Every answer that is no success."""

    error: str = Field(description="What was wrong, where, and what would be right.")


# By status, as the document says it.
REFUSALS = {
    400: "The request must be changed.",
    401: "The token is missing or wrong.",
    403: "The Host header names another machine.",
    404: "There is no such thing.",
    409: "Requests still need it, or it is not so far.",
    422: "The version cannot be loaded.",
    500: "It failed here.",
    503: "Not now; try again.",
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route declares that it may answer beside its success."""
    return {status: {"model": Failure, "description": REFUSALS[status]} for status in statuses}


class Health(BaseModel):
    """`ready`: a prediction of every default model has worked."""

    status: Literal["ready", "starting"]
    engine: str
    workers: int = Field(description="Gateway workers that can predict.")
    release: str


Level = Literal["debug", "info", "warning", "error"]


class Logs(BaseModel):
    """`levels` are those of single loggers, and of all below them; the severities hold for the others."""

    info: bool
    warning: bool
    error: bool
    verbose: int = Field(description="Above 0: debugging too.")
    levels: dict[str, Level]


class TensorSeen(BaseModel):
    """-1 in `shape` is a dimension of any size."""

    name: str
    datatype: str
    shape: list[int]


class VersionSeen(BaseModel):
    """`variants` holds its share of the requests in percent, by the role in which it gets them."""

    version: int
    pool: str
    state: Literal["ready", "refused", "waiting"]
    why: str = Field(description="Why it was refused: file, reason and remedy.")
    variants: dict[str, float]
    batchable: bool
    note: str
    inputs: list[TensorSeen]
    outputs: list[TensorSeen]


class ModelSeen(BaseModel):
    """`default` is the version that most requests without a version get."""

    name: str
    default: int
    versions: list[VersionSeen]


class Models(BaseModel):
    """All models."""

    models: list[ModelSeen]


class Loaded(BaseModel):
    """`changed` is false where it was there already."""

    model: str
    version: int
    changed: bool


class Unloaded(BaseModel):
    """What is served no more."""

    model: str
    versions: list[int]


class ReplicaSeen(BaseModel):
    """As a gateway worker sees it; `rows` are those it has not answered, `slots` the batches it runs at once."""

    replica: str
    address: str
    state: str
    rows: int
    slots: int = 0


class PoolSeen(BaseModel):
    """`gateway` is the workers themselves; `alive` counts replicas as the engine does.

    `wished` is how many there should be by the load, and null where their number is fixed.
    """

    name: str
    versions: list[str]
    replicas: list[ReplicaSeen]
    alive: int
    wished: int | None = None


class Pools(BaseModel):
    """All pools."""

    pools: list[PoolSeen]


class Restarted(BaseModel):
    """Every replica of the pool is a new one."""

    pool: str


class FeatureSeen(BaseModel):
    """One value of a row."""

    name: str
    dtype: str


class ViewSeen(BaseModel):
    """`entity` are the fields that find a row, in the order of its key."""

    name: str
    entity: list[str]
    features: list[FeatureSeen]
    max_age_s: float | None


class Views(BaseModel):
    """All feature views."""

    views: list[ViewSeen]


class RowSeen(BaseModel):
    """`values` is null where there is no row that can be read; a value is null where it is absent or no number."""

    view: str
    entity: dict[str, str]
    status: Literal["present", "stale", "unreadable", "not_found"]
    event_time_s: float | None
    values: dict[str, float | int | bool | None] | None


def _as_json_has_it(value: object) -> object:
    # Told in one sentence, where each type of the union would have one of its own.
    if value is None or (isinstance(value, bool | int | float) and value - value == 0):
        return value
    raise PydanticCustomError("value", "must be a finite number, true, false or null")


FeatureValue = Annotated[float | int | bool | None, BeforeValidator(_as_json_has_it)]
# Not turned into a number from something else, and no further away than a calendar reaches.
EventTime = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=-FURTHEST_S, lt=FURTHEST_S)]


class NewRow(BaseModel):
    """A whole row: what is left out of `values` is absent from then on."""

    key: list[str] = Field(description="The entity's values, in the order of the view.", min_length=1, max_length=16)
    values: dict[str, FeatureValue]
    event_time_s: EventTime | None = Field(
        None, description="When the facts held, in seconds since 1970; by default now."
    )


class NewRows(BaseModel):
    """All are judged before the first is written."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rows": [{"key": ["N14228"], "values": {"year": 1999, "seats": 149}}]}]}
    )

    rows: list[NewRow] = Field(min_length=1, max_length=10_000)


class Written(BaseModel):
    """How many rows are stored now."""

    view: str
    written: int
