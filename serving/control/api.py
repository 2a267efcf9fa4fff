"""The control API: everything people and programs do to a running session, never on the port of predictions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from serving.control.answers import (
    Health,
    Level,
    Loaded,
    Logs,
    Models,
    ModelSeen,
    Pools,
    Restarted,
    Unloaded,
    failures,
)
from serving.control.batching_answer import Batching
from serving.control.session import AskSession
from serving.errors import UnknownModel

# The names a repository can have, and numbers that every reader of JSON keeps exactly.
ModelName = Annotated[
    str, Path(min_length=1, max_length=128, description="Name of the model.", examples=["flight-delay"])
]
PoolName = Annotated[str, Path(min_length=1, max_length=128, description="Name of the pool.", examples=["default"])]
VersionNumber = Annotated[int, Query(ge=1, le=2**53 - 1, description="Number of the version.", examples=[2])]

router = APIRouter(prefix="/api/v1", responses=failures(401, 403, 500, 503))


def _session(request: Request) -> AskSession:
    session: AskSession = request.app.state.session
    return session


@router.get("/health", tags=["session"])
async def health(request: Request) -> Health:
    """Whether predictions work, and what runs."""
    return Health.model_validate(await _session(request)("health"))


@router.get("/models", tags=["models"])
async def models(request: Request) -> Models:
    """Every model with its versions: which of them answers, where it runs, and whether it can."""
    return Models.model_validate(await _session(request)("models"))


@router.get("/models/{model}", tags=["models"], responses=failures(400, 404))
async def model(request: Request, model: ModelName) -> ModelSeen:
    """One model, with the inputs and outputs of each version."""
    seen: list[dict[str, Any]] = list((await _session(request)("models"))["models"])
    for one in seen:
        if one["name"] == model:
            return ModelSeen.model_validate(one)
    raise UnknownModel(f"there is no model {model!r}; known are {[one['name'] for one in seen][:20]}")


@router.get("/models/{model}/batching", tags=["models"], responses=failures(400, 404))
async def batching(request: Request, model: ModelName) -> Batching:
    """How a model is batched just now: what a run takes, how many rows run together for its goal, what waits and what
    was refused, of each version in all workers.
    """
    return Batching.model_validate(await _session(request)("batching", model=model))


@router.post("/models/{model}:load", tags=["models"], responses=failures(400, 404, 422))
async def load(request: Request, model: ModelName, version: VersionNumber) -> Loaded:
    """Load a version of the repository beside the others. It can be asked for then; who answers by default stays."""
    return Loaded.model_validate(await _session(request)("load", model=model, version=version))


@router.post("/models/{model}:unload", tags=["models"], responses=failures(400, 404, 409))
async def unload(
    request: Request,
    model: ModelName,
    version: Annotated[
        int | None, Query(ge=1, le=2**53 - 1, description="Without it, the whole model.", examples=[1])
    ] = None,
    force: Annotated[bool, Query(description="Also the model's last version, or one under trial.")] = False,  # noqa: FBT002
) -> Unloaded:
    """Ask for a version no more, let what was accepted end, and free its memory."""
    return Unloaded.model_validate(await _session(request)("unload", model=model, version=version, force=force))


@router.get("/logs", tags=["session"])
async def logs(request: Request) -> Logs:
    """What is written: severities, and the levels of single loggers."""
    return Logs.model_validate(await _session(request)("log"))


@router.post("/logs/levels", tags=["session"], responses=failures(400))
async def log_level(
    request: Request,
    logger: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            description="A module of Sluice, or a part of it.",
            examples=["serving.batching"],
        ),
    ],
    level: Annotated[
        Level | None, Query(description="Without it, the logger writes as the others do.", examples=["debug"])
    ] = None,
) -> Logs:
    """Have a logger, and all below it, write from this level on until the session ends, in all its processes but the
    replicas.
    """
    return Logs.model_validate(await _session(request)("log_level", logger=logger, level=level))


@router.get("/pools", tags=["pools"])
async def pools(request: Request) -> Pools:
    """Every pool, the versions routed to it, and its replicas with the rows that they have not answered."""
    return Pools.model_validate(await _session(request)("pools"))


@router.post("/pools/{pool}:restart", tags=["pools"], responses=failures(400, 422))
async def restart(request: Request, pool: PoolName) -> Restarted:
    """Replace every replica of a pool: new ones answer before those that they replace leave."""
    return Restarted.model_validate(await _session(request)("restart_pool", pool=pool))
