"""Whether a rollout may begin: what its plan asks for, held against what the session serves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from serving.errors import BadRequest, ConfigInvalid, InUse, NotReady, ServingError, UnknownModel
from serving.rollouts import plan_file
from serving.rollouts.plan import Plan
from serving.rollouts.same_form import other_form
from serving.rollouts.session import Session

# An order in a hurry waits no longer for what a session says of its versions.
_SAYS_WITHIN_S = 2.0


def asked_for(plan: Mapping[str, Any]) -> Plan:
    """The plan that somebody wrote.

    Raises:
        BadRequest: everything that is wrong with it, on one line.
    """
    try:
        return plan_file.parse(plan)
    except ConfigInvalid as error:
        # Whoever asks can change it, and is answered on one line.
        raise BadRequest("; ".join(error.message.splitlines())) from error


def check_score(plan: Plan, model: str, output: str) -> None:
    """A gate that can never see anything would keep the rollout for ever.

    Raises:
        BadRequest: the plan has one, for a model of which nobody says what its score is.
    """
    gates = () if plan.shadow is None or output else plan.shadow.gates
    blind = [name for name in gates if name != "errors"]
    if blind:
        raise BadRequest(
            f"shadow.gates.{blind[0]}: nothing says what the score of {model!r} is; name the output as score in its "
            "model.yaml, or leave this gate out"
        )


def stable_of(seen: Mapping[str, Any], model: str, canary: int) -> int:
    """The version that answers now, against which the canary is held.

    Raises:
        ServingError: one of the two is not there or not ready, they are asked in different ways, or versions share the
            requests already.
    """
    found = next((one for one in seen["models"] if one["name"] == model), None)
    if found is None:
        raise UnknownModel(f"there is no model {model!r}; known are {[one['name'] for one in seen['models']][:20]}")
    versions = {one["version"]: one for one in found["versions"]}
    stable = int(found["default"])
    if canary not in versions:
        raise UnknownModel(
            f"version {canary} of {model!r} is not served, only {sorted(versions)}; "
            f"`sluice models load {model} {canary}` comes first"
        )
    if canary == stable:
        raise BadRequest(f"version {canary} of {model!r} answers all requests already")
    sharing = [number for number, one in versions.items() if any(one["variants"].values()) and number != stable]
    if sharing:
        raise InUse(f"version {sharing[0]} of {model!r} has a share by the configuration; set its canary_percent to 0")
    for number in (stable, canary):
        if versions[number]["state"] != "ready":
            why = versions[number]["why"] or "it is being loaded; try again in a moment"
            raise NotReady(f"version {number} of {model!r} cannot answer: {why}")
    trips = other_form(versions[stable], versions[canary])
    if trips:
        raise BadRequest(
            f"{trips}; requests to {model!r} fit one of them alone, so that nothing can be rolled out: keep the form, "
            "or serve it as another model"
        )
    return stable


async def check_pin(session: Session, model: str, version: int) -> None:
    """Whoever pins a version in a hurry is told that it could answer nobody.

    Raises:
        NotReady: it was refused where it should run. Where nobody can say, the order is not kept up.
    """
    try:
        async with asyncio.timeout(_SAYS_WITHIN_S):
            seen = await session("models")
    except (ServingError, TimeoutError):
        return
    versions: list[Any] = next((one["versions"] for one in seen["models"] if one["name"] == model), [])
    refused = next((one for one in versions if (one["version"], one["state"]) == (version, "refused")), None)
    if refused is not None:
        raise NotReady(f"version {version} of {model!r} cannot answer, so that nothing was changed: {refused['why']}")
