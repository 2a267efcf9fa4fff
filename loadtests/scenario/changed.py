"""A scenario with another target, rate or length than its file says."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from loadtests.scenario.scenario import Scenario
from serving.errors import ConfigInvalid


def changed(
    scenario: Scenario,
    *,
    target: str | None = None,
    metrics: str | None = None,
    scale: float = 1.0,
    for_s: float | None = None,
) -> Scenario:
    """Checked again as a whole; moments of chaos stretch with the stages, and another server's metrics are not its own.

    Raises:
        ConfigInvalid: it is no scenario any more.
    """
    if scenario.generator.replay is not None and (scale != 1.0 or for_s is not None):
        raise ConfigInvalid("recorded times are replayed as they are: rate and length (--scale, --for-s) are their own")
    if scenario.generator.loop == "closed" and scale != 1.0:
        raise ConfigInvalid("a closed loop has no rate that --scale could change: name more `generator.callers`")
    document: dict[str, Any] = scenario.model_dump()
    document["target"] = target or scenario.target
    document["metrics"] = metrics or (scenario.metrics if document["target"] == scenario.target else None)
    seconds = sum(stage.for_s for stage in scenario.shape)
    stretch = for_s / seconds if for_s is not None and seconds else 1.0
    for stage in document["shape"]:
        stage["for_s"] *= stretch
        stage["rate"] *= scale
        stage["to"] = None if stage["to"] is None else stage["to"] * scale
    for action in document["chaos"]:
        action["at_s"] *= stretch
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)
        )
        raise ConfigInvalid(f"the scenario as changed is none: {problems}") from None
