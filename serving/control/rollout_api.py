"""The part of the control API that begins rollouts, shows them, and takes people's orders."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from serving.control.answers import failures
from serving.control.api import ModelName, VersionNumber
from serving.control.rollout_answers import (
    Asker,
    Frozen,
    History,
    NewRollout,
    Pinned,
    RolloutLine,
    RolloutSeen,
    Traffic,
    VerdictSeen,
)
from serving.control.rollout_answers import Rollouts as RolloutLines
from serving.control.rollouts import LOOK_EVERY_S, Rollouts
from serving.control.session import AskSession
from serving.errors import ServingError, UnknownModel
from serving.rollouts.bridge import Go, goes, told
from serving.rollouts.transition import Order
from serving.rollouts.view import summary

Which = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="Id of a rollout, or a model for its last one.",
        examples=["flight-delay"],
    ),
]
RolloutId = Annotated[
    str, Path(min_length=1, max_length=200, description="Id of the rollout.", examples=["flight-delay-1"])
]
By = Annotated[str, Query(max_length=100, pattern=r"^[^\x00-\x1f]*$", description="Who wants it, for the audit.")]
_KEEP_ALIVE_LOOKS = 15
# Not one of the statuses that mean that nothing answered: those are asked again.
_NO_GO = 409

router = APIRouter(prefix="/api/v1", tags=["rollouts"], responses=failures(401, 403, 500, 503))


def _rollouts(request: Request) -> Rollouts:
    rollouts: Rollouts = request.app.state.rollouts
    return rollouts


@router.post("/models/{model}/rollouts", responses=failures(400, 404, 409))
async def start(request: Request, model: ModelName, new: NewRollout) -> RolloutLine:
    """Begin to roll out a version. With `dry_run` only what is wrong with that is said, and how it would begin."""
    controller = _rollouts(request).controller
    begin = controller.checked if new.dry_run else controller.start
    return RolloutLine.model_validate(summary(await begin(model, new.canary, new.plan, by=new.by, sticky=new.sticky)))


@router.get("/models/{model}/rollouts", responses=failures(400, 404))
async def of_model(request: Request, model: ModelName) -> RolloutLines:
    """The rollouts of a model, the newest first."""
    return RolloutLines.model_validate({"rollouts": await _rollouts(request).lines(model)})


@router.get("/models/{model}/traffic", responses=failures(400, 404))
async def traffic(request: Request, model: ModelName) -> Traffic:
    """What a rollout of this model would have to go by."""
    session: AskSession = request.app.state.session
    return Traffic.model_validate(await session("traffic", model=model))


@router.post("/models/{model}:pin", responses=failures(400, 404, 409))
async def pin(request: Request, model: ModelName, version: VersionNumber, by: By = "") -> Pinned:
    """Give all traffic to one version now, whatever a rollout says; one of this model ends with that."""
    await _rollouts(request).pin(model, version, by)
    return Pinned(model=model, version=version)


@router.get("/rollouts", responses=failures(400))
async def rollouts(request: Request) -> RolloutLines:
    """All rollouts, the newest first."""
    return RolloutLines.model_validate({"rollouts": await _rollouts(request).lines("")})


@router.post("/rollouts:freeze", responses=failures(400, 409))
async def freeze(request: Request, by: By = "") -> Frozen:
    """From now on no rollout changes but by people's orders: none goes on, and none goes back."""
    await _rollouts(request).controller.freeze(by, frozen=True)
    return Frozen(frozen=True)


@router.post("/rollouts:unfreeze", responses=failures(400, 409))
async def unfreeze(request: Request, by: By = "") -> Frozen:
    """Go on; the time of each step begins anew."""
    await _rollouts(request).controller.freeze(by, frozen=False)
    return Frozen(frozen=False)


@router.get("/rollouts/{rollout}", responses=failures(400, 404))
async def rollout(request: Request, rollout: RolloutId) -> RolloutSeen:
    """One rollout: where it stands, why, and what each gate has seen."""
    return RolloutSeen.model_validate(await _rollouts(request).seen(rollout))


@router.get("/rollouts/{rollout}/history", responses=failures(400, 404))
async def history(request: Request, rollout: RolloutId) -> History:
    """What was done by whom and why; each verdict is taken again from the counts that were kept with it."""
    return History.model_validate({"entries": await _rollouts(request).history(rollout)})


@router.get("/rollouts/{rollout}/verdict", responses=failures(400, 404))
async def verdict(request: Request, rollout: Which) -> VerdictSeen:
    """The verdict in a few words, for analyses that ask again and again; also by the name of the model."""
    return VerdictSeen.model_validate(told(await _rollouts(request).latest(rollout)))


@router.post("/rollouts/{rollout}/verdict", responses=failures(400, 404, 409), response_model=VerdictSeen)
async def may_go_on(
    request: Request,
    rollout: Which,
    go: Annotated[Go, Query(description="On what the one who asks goes on.")] = Go.UNHARMED,
    asker: Asker | None = None,
) -> Response | VerdictSeen:
    """Whether somebody else's step may go on: 200 if so, else 409; changes nothing. For webhooks of Flagger."""
    held = await _rollouts(request).latest(rollout)
    if goes(held, go):
        return VerdictSeen.model_validate(told(held))
    who = f" {asker.name}" if asker and asker.name else ""
    return JSONResponse({"error": f"no go{who}: {held.id} is {held.phase}: {told(held)['sentence']}"}, _NO_GO)


@router.get(
    "/rollouts/{rollout}/events",
    responses={**failures(400, 404), 200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    response_class=StreamingResponse,
)
async def events(request: Request, rollout: RolloutId) -> StreamingResponse:
    """Server-sent events: the rollout whenever something of it has changed, until it is over."""
    first = await _rollouts(request).seen(rollout)
    return StreamingResponse(_events(request, rollout, first), media_type="text/event-stream")


@router.post("/rollouts/{rollout}:promote", responses=failures(400, 404, 409))
async def promote(
    request: Request,
    rollout: RolloutId,
    full: Annotated[bool, Query(description="To the end, whatever the gates say.")] = False,  # noqa: FBT002
    by: By = "",
) -> RolloutLine:
    """Go on to the next step, also without its proof; or agree to a step that waits for approval."""
    return await _ordered(request, rollout, Order.PROMOTE_FULL if full else Order.PROMOTE, by)


@router.post("/rollouts/{rollout}:pause", responses=failures(400, 404, 409))
async def pause(request: Request, rollout: RolloutId, by: By = "") -> RolloutLine:
    """Stay at this weight; harm still rolls it back."""
    return await _ordered(request, rollout, Order.PAUSE, by)


@router.post("/rollouts/{rollout}:resume", responses=failures(400, 404, 409))
async def resume(request: Request, rollout: RolloutId, by: By = "") -> RolloutLine:
    """Go on with the step; the gate that paused it pauses it no more."""
    return await _ordered(request, rollout, Order.RESUME, by)


@router.post("/rollouts/{rollout}:abort", responses=failures(400, 404, 409))
async def abort(request: Request, rollout: RolloutId, by: By = "") -> RolloutLine:
    """All traffic back to the stable version, and an end."""
    return await _ordered(request, rollout, Order.ABORT, by)


async def _ordered(request: Request, rollout: str, order: Order, by: str) -> RolloutLine:
    return RolloutLine.model_validate(summary(await _rollouts(request).controller.order(rollout, order, by)))


async def _events(request: Request, rollout: str, first: dict[str, Any]) -> AsyncIterator[bytes]:
    seen, quiet = first, 0
    yield _event("rollout", seen)
    while not seen["over"]:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            now = await _rollouts(request).seen(rollout)
        except ServingError as error:
            yield _event("trouble", {"error": error.message})
            if isinstance(error, UnknownModel):
                # It was forgotten, or its store came back empty: nothing will be told of it any more.
                return
            continue
        if now != seen:
            seen, quiet = now, 0
            yield _event("rollout", seen)
            continue
        quiet += 1
        if quiet % _KEEP_ALIVE_LOOKS == 0:
            # A comment, so that whoever is between closes nothing.
            yield b":\n\n"


def _event(kind: str, document: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(document, separators=(',', ':'))}\n\n".encode()
