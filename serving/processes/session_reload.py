"""What following another plan comes to, judged before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.config.first_table import first_table
from serving.config.reloading import refused
from serving.config.settings import Settings
from serving.errors import InUse
from serving.inference import VersionKey
from serving.processes.session_plan import ServedModel, SessionPlan
from serving.processes.start_message import StartMessage
from serving.routing.table import RouteTable
from serving.routing.table_merge import merged, objections


@dataclass(frozen=True, slots=True)
class Following:
    """A plan, and the first table that a session with it would have; `start` is what its workers are told."""

    plan: SessionPlan
    settings: Settings
    first: RouteTable
    start: StartMessage

    def merged(self, now: RouteTable, before: RouteTable) -> RouteTable:
        """The table in force, with what differs from the first table before."""
        return merged(now, before, self.first)

    def models(self, held: Mapping[VersionKey, ServedModel], table: RouteTable) -> dict[VersionKey, ServedModel]:
        """The versions of the table, those that are held as they are."""
        planned = {VersionKey(served.model, served.version): served for served in self.plan.models}
        keys = [VersionKey(route.model, served.version) for route in table.routes.values() for served in route.served]
        known = {**planned, **held}
        return {key: known[key] for key in keys if key in known}


def following(plan: SessionPlan, start: StartMessage) -> Following:
    """The plan, ready to be judged.

    Raises:
        ConfigInvalid: it names a model of which there is no version.
    """
    settings = Settings.model_validate(plan.config)
    versions = [VersionKey(served.model, served.version) for served in plan.models]
    return Following(plan, settings, first_table(settings, versions), start)


def judge(
    new: Following, old: Settings, now: RouteTable, before: RouteTable, held: Mapping[VersionKey, ServedModel]
) -> None:
    """Whether the session, which serves `held`, may follow it.

    Raises:
        InUse: not without a restart, or not now; names what stands in the way.
    """
    fixed = refused(old, new.settings)
    if fixed:
        raise InUse(f"{', '.join(fixed)}: a running session cannot change that; stop it and start it again")
    held_up = [
        *_broken(new.plan.left_out, now),
        *objections(now, before, new.first),
        *_vanished(new, new.merged(now, before), held),
        *_disturbed(new.settings, old, now),
    ]
    if held_up:
        raise InUse("; ".join(dict.fromkeys(held_up)))


def _broken(left_out: Mapping[str, str], now: RouteTable) -> list[str]:
    """What can be served no more and is asked for: a file that broke is not one that was taken away."""
    asked_for = {f"{route.model}/{one.version}" for route in now.routes.values() for one in route.served}
    return [why for name, why in left_out.items() if name in asked_for or name in now.routes]


def _vanished(new: Following, table: RouteTable, held: Mapping[VersionKey, ServedModel]) -> list[str]:
    """What answers and nobody could load any more; a version that an order loaded is in no configuration's table."""
    planned = {VersionKey(served.model, served.version) for served in new.plan.models}
    answering = [VersionKey(model, one.version) for model, route in table.routes.items() for one in route.splits]
    gone = [key for key in answering if key in held and key not in planned and not Path(held[key].path).exists()]
    return [f"{key} answers requests, and its file {held[key].path} is gone; pin another version first" for key in gone]


def _disturbed(new: Settings, old: Settings, now: RouteTable) -> list[str]:
    """Both arms of a trial must be asked alike from its beginning to its end."""
    return [
        f"model {model!r} is under rollout {route.trial.rollout}; wait for its end, or abort it"
        for model, route in now.routes.items()
        if route.trial is not None and old.model(model) != new.model(model)
    ]
