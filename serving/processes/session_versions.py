"""Loads and unloads versions of a running session: everything is judged first, and what fails changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from serving.config.first_table import first_route
from serving.config.owner_facts import with_owner_facts
from serving.config.placement import canary_pool, pool_of
from serving.config.settings import Settings
from serving.errors import InUse, NotReady, ServingError, Unavailable, UnknownModel
from serving.inference import VersionKey
from serving.processes.asking import Facts
from serving.processes.canary_place import Own, own_versions, with_own, without_own
from serving.processes.changeover import Changeover
from serving.processes.events import Emit, Event, Kind
from serving.processes.in_force import Change, InForce
from serving.processes.servable_version import servable_version
from serving.processes.session_parts import SessionParts
from serving.processes.session_plan import ServedModel, SessionPlan
from serving.processes.session_reload import Following, judge
from serving.processes.session_table import session_table
from serving.routing.table import RouteTable, Split, Trial
from serving.routing.table_change import with_limits, with_pools, with_split, with_version, without_version

_NOT_LET_GO = "it could not be let go"


class SessionVersions:
    """`changing` is held while workers change, so that none is rolled meanwhile; `begin` owns what is left to do.

    It is not held while the engine is waited for, which may take minutes: workers can be rolled then. Shares and limits
    do not wait for it: no rollout's end is kept up by workers that are replaced.
    """

    def __init__(
        self,
        plan: SessionPlan,
        parts: SessionParts,
        changing: asyncio.Lock,
        emit: Emit,
        begin: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._begin = begin
        self._parts = parts
        self._changing = changing
        # One order after the other, the engine's part of it too.
        self._ordering = asyncio.Lock()
        self._emit = emit
        # The highest number that a controller of rollouts gave: one that was replaced has a lower one.
        self._fence = 0
        # Of each model the version whose rollout wants replicas of its own for it.
        self._apart: dict[str, int] = {}
        self._settings = Settings.model_validate(plan.config)
        self._config = plan.config
        self._left_out = plan.left_out
        self._first = session_table(parts.start)
        models = {VersionKey(served.model, served.version): served for served in plan.models}
        self._held = InForce(parts, models, self._first)

    @property
    def settings(self) -> Settings:
        """The configuration, with what owners of loaded models say."""
        return self._settings

    async def table(self) -> RouteTable:
        """The routing table in force; while the control Redis is away the last known one, as gateways have it."""
        return await self._held.known()

    async def load(self, key: VersionKey) -> Facts:
        """Host a version of the repository beside the others, then route to it; the split stays what it is.

        Raises:
            UnknownModel: the repository has no such version.
            ModelUnservable: it cannot be loaded: file, reason and remedy.
            Unavailable: engine or control Redis cannot be asked now.
        """
        async with self._ordering:
            if key in self._held.models and await self._hosted(key):
                return {"model": key.model, "version": key.version, "changed": False}
            found = await asyncio.to_thread(servable_version, self._settings, key)
            settings = with_owner_facts(self._settings, {key.model: found.manifest})
            alone = first_route(settings, key.model, {key.version})
            # Asked before anything is done: without the place for its route there is no use in loading it.
            await self._held.current()
            served = ServedModel(
                key.model, key.version, str(found.path.resolve()), default=key.model not in self._known()
            )
            try:
                await self._host(served)
                async with self._changing:
                    await self._admit(served, lambda now: with_version(now, alone, key.version))
                    self._settings = settings
            except ServingError:
                await self._let_go([key], self._without(key))
                raise
        self._say("loaded", str(key), f"version {key.version} was loaded and can be asked for")
        return {"model": key.model, "version": key.version, "changed": True}

    async def unload(self, model: str, version: int | None, *, force: bool) -> Facts:
        """Route to it no more, let what was accepted end, then let it go; None is the whole model.

        Raises:
            UnknownModel: it is not served.
            InUse: requests would have nothing.
            Unavailable: engine or control Redis cannot be asked now.
        """
        async with self._ordering:
            async with self._changing, self._held.changing:
                before = await self._held.current()
                without_version(before, model, version, force=force)
                if self._parts.engine is not None and not self._parts.engine.ready.is_set():
                    raise NotReady("the engine is not ready; try again in a moment")
                table = await self._held.publish(lambda now: without_version(now, model, version, force=force))
                gone = [key for key in _versions(before) if key not in _versions(table)]
                left = {key: served for key, served in self._held.models.items() if key not in gone}
                self._held.put(left, table)
            await self._let_go(gone, left)
            for key in gone:
                self._parts.gateways.forget_refusal(*key)
        for key in gone:
            self._say("unloaded", str(key), f"version {key.version} was unloaded")
        return {"model": model, "versions": [key.version for key in gone]}

    async def reload(self, new: Following) -> None:
        """Follow another configuration: pools and workers first, then the routing table; a failure changes nothing.

        Raises:
            InUse: it changes what a running session cannot change, or cannot now.
            Unavailable: engine or control Redis cannot be asked now, or a new worker did not become ready.
            ModelUnservable: there is no room for a pool.
        """
        async with self._ordering:
            judge(new, self._settings, await self.table(), self._first, self._held.models)
            if new.plan.config == self._config and new.first == self._first:
                async with self._changing:
                    await self._roll()
            else:
                await self._follow(new)
        for name, why in new.plan.left_out.items():
            if self._left_out.get(name) != why:
                self._say("refused", name, why)
        self._left_out = new.plan.left_out

    async def _follow(self, new: Following) -> None:
        models = new.models(self._held.models, new.merged(await self._held.current(), self._first))
        try:
            await self._engine_follows(models, new.plan.config, "host_beside")
            async with self._changing:
                await self._change_over(new, models)
        except ServingError:
            back = self._engine_follows(self._held.models, self._config, "host")
            await self._told_if_not(back, "configuration", "the pools were not taken back")
            raise
        self._settings, self._config, self._first = new.settings, new.plan.config, new.first
        if self._parts.engine is not None:
            self._parts.engine.follow(new.start)
        # What only the table before led to is let go.
        await self._told_if_not(self._engine_follows(models, self._config, "host"), "engine", _NOT_LET_GO)

    async def _roll(self) -> None:
        if not await self._parts.gateways.roll():
            raise Unavailable("a new gateway worker did not become ready; the session's output says why")

    async def _change_over(self, new: Following, models: dict[VersionKey, ServedModel]) -> None:
        async with self._held.changing:
            # Meanwhile shares may have changed, and a rollout may have begun; versions have not.
            now = await self._judged(new)
            earlier = self._parts.gateways.follow(new.start)
            self._held.begin(Changeover(new, self._first, models), now)
        try:
            await self._roll()
            async with self._held.changing:
                await self._judged(new)
                await self._held.finish()
        except ServingError:
            async with self._held.changing:
                self._parts.gateways.follow(earlier)
                await self._held.take_back()
            self._begin(self._held.settle())
            await self._told_if_not(self._roll(), "configuration", "it was not taken back wholly")
            raise

    async def _judged(self, new: Following) -> RouteTable:
        """The table in force, by which the session may follow."""
        now = await self._held.current()
        judge(new, self._settings, now, self._first, self._held.models)
        return now

    async def _engine_follows(
        self, models: Mapping[VersionKey, ServedModel], config: Mapping[str, Any], what: str
    ) -> None:
        if self._parts.engine is not None:
            await self._tell_engine(models, what, config=config)

    async def limit(self, model: str, limits: Mapping[str, int]) -> None:
        """Have every version of a model served within other limits; those loaded later keep the configuration's.

        Raises:
            UnknownModel: it is not served.
            BadRequest: limits that contradict each other.
            Unavailable: the control Redis cannot be asked now.
        """
        if not limits:
            return
        async with self._held.changing:
            table = await self._held.publish(lambda now: with_limits(now, model, limits))
            self._held.put(self._held.models, table)

    async def split(  # noqa: PLR0913 - all of what one order says, in force together or not at all
        self, model: str, splits: Sequence[Split], trial: Trial | None, *, salt: str, fence: int, apart: int = 0
    ) -> Facts:
        """Share a model's requests out otherwise; `fence` is the number of the controller that wants it.

        `apart` is the version that a rollout wants replicas of its own for; without it every version is asked for in
        its own pool from the same table on, and what had replicas of its own is to be brought home.

        Raises:
            InUse: another controller has taken over.
            UnknownModel: model or version are not served.
            BadRequest: shares that do not add up.
            Unavailable: the control Redis cannot be asked now.
        """
        async with self._held.changing:
            self._accept(fence)
            self._apart.pop(model, None)
            if apart:
                self._apart[model] = apart
            before = await self._held.current()

            def change(now: RouteTable) -> RouteTable:
                table = with_split(now, model, splits, trial, salt)
                return table if apart else self._at_home(table, model)

            table = await self._held.publish(change, fence)
            if table.epoch != before.epoch:
                self._held.put(self._held.models, table)
            in_force = table.routes[model].trial
        return {"epoch": table.epoch, "generation": in_force.generation if in_force else 0}

    async def room(self, key: VersionKey, own: Own) -> None:
        """Whether replicas of its own can be started for a version.

        Raises:
            UnknownModel: it is not served.
            ModelUnservable: there is no room for them; says what to do.
            Unavailable: the engine cannot be asked now.
        """
        async with self._ordering:
            await self._tell_engine(with_own(self._held.models, self._served(key), own), "room")

    async def set_apart(self, key: VersionKey, own: Own, fence: int) -> None:
        """Have a version hosted by replicas of its own as well, warm, and then asked for there alone.

        Raises:
            UnknownModel: it is not served.
            ModelUnservable: there is no room, or they refused it.
            InUse: the rollout that wanted it is over.
            Unavailable: engine or control Redis cannot be asked now.
        """

        def apart(now: RouteTable) -> RouteTable:
            self._still_wanted(key)
            return with_pools(now, key.model, {key.version: canary_pool(key.model)})

        async with self._ordering:
            self._accept(fence)
            before = self._held.models
            models = with_own(before, self._served(key), own)
            try:
                await self._tell_engine(models)
                async with self._changing:
                    self._still_wanted(key)
                    self._held.models = models
                    await self._admit(models[key], apart)
            except ServingError:
                self._held.models = before
                await self._told_if_not(self._tell_engine(before), str(key), "its own replicas could not be let go")
                raise

    async def bring_home(self, model: str) -> None:
        """Let go of replicas that a canary of this model had for itself, once what they had accepted is answered."""
        async with self._ordering:
            left = [key for key in own_versions(self._held.models, model) if key.version != self._apart.get(model)]
            if not left:
                return
            for key in left:
                leave = self._parts.gateways.ask_all("leave", model=key.model, version=key.version)
                await self._told_if_not(leave, str(key), "what its own replicas had accepted may not be answered")
            async with self._changing, self._held.changing:
                self._held.put(without_own(self._held.models, model), await self.table())
            await self._told_if_not(
                self._tell_engine(self._held.models), str(left[0]), "its own replicas could not be let go"
            )

    def apart(self, model: str) -> bool:
        """A version of the model has replicas of its own that no rollout wants any more."""
        return any(key.version != self._apart.get(model) for key in own_versions(self._held.models, model))

    def folder(self, key: VersionKey) -> Path | None:
        """Where the file of a version is, with its model's manifest beside it."""
        served = self._held.models.get(key)
        return Path(served.path).parent.parent if served else None

    async def _host(self, served: ServedModel) -> None:
        """Have the engine's replicas load it."""
        if self._parts.engine is None:
            return
        key = VersionKey(served.model, served.version)
        # A version that was refused earlier is tried again only where it is new.
        if key in self._held.models:
            await self._tell_engine(self._without(key))
        await self._tell_engine({**self._held.models, key: served})

    async def _admit(self, served: ServedModel, change: Change) -> None:
        """Every worker hosts it, or sees it hosted; then it is routed to, and what goes wrong from there on is told."""
        key = VersionKey(served.model, served.version)
        await self._parts.gateways.ask_all("load", strict=True, served=asdict(served))
        self._parts.gateways.forget_refusal(*key)
        async with self._held.changing:
            table = await self._held.publish(change)
            self._held.put({**self._held.models, key: served}, table)
        # Those that were started again meanwhile.
        again = self._parts.gateways.ask_all("load", served=asdict(served))
        await self._told_if_not(again, str(key), "a worker that was started again meanwhile cannot serve it")

    async def _hosted(self, key: VersionKey) -> bool:
        described = await self._parts.gateways.ask_one("describe")
        if str(key) in described["hosted"]:
            return True
        if str(key) not in described["refused"]:
            raise NotReady(f"{key} is being loaded; try again in a moment")
        return False

    async def _let_go(self, keys: Sequence[VersionKey], left: Mapping[VersionKey, ServedModel]) -> None:
        """Nobody is routed to them any more: what goes wrong now costs memory, and is told."""
        for key in keys:
            unload = self._parts.gateways.ask_all("unload", model=key.model, version=key.version)
            await self._told_if_not(unload, str(key), _NOT_LET_GO)
        if self._parts.engine is not None:
            await self._told_if_not(self._tell_engine(left), ", ".join(map(str, keys)), _NOT_LET_GO)

    async def _told_if_not(self, done: Awaitable[None], part: str, what: str) -> None:
        try:
            await done
        except ServingError as error:
            self._say("trouble", part, f"{what}: {error.message}")

    def _accept(self, fence: int) -> None:
        if fence < self._fence:
            raise InUse(f"controller {fence} of rollouts was replaced by {self._fence} and changes nothing any more")
        self._fence = fence

    def _served(self, key: VersionKey) -> VersionKey:
        if key not in self._held.models:
            raise UnknownModel(f"version {key.version} of {key.model!r} is not served")
        return key

    def _still_wanted(self, key: VersionKey) -> None:
        if self._apart.get(key.model) != key.version:
            raise InUse(f"the rollout of {key} is over; replicas of its own are wanted no more")

    def _at_home(self, table: RouteTable, model: str) -> RouteTable:
        """What was asked for in replicas of its own is asked for where the configuration places it."""
        served = table.routes[model].served
        own = canary_pool(model)
        pools = {one.version: pool_of(self._settings, model, one.version) for one in served if one.pool == own}
        return with_pools(table, model, pools)

    async def _tell_engine(
        self,
        models: Mapping[VersionKey, ServedModel],
        what: str = "host",
        **facts: Any,  # noqa: ANN401 - see Ask
    ) -> None:
        engine = self._parts.engine
        if engine is None or not engine.ready.is_set():
            raise NotReady("the engine is not ready; try again in a moment")
        await engine.ask(what, models=[asdict(served) for served in models.values()], **facts)

    def _without(self, key: VersionKey) -> dict[VersionKey, ServedModel]:
        return {held: served for held, served in self._held.models.items() if held != key}

    def _known(self) -> set[str]:
        return {key.model for key in self._held.models}

    def _say(self, kind: Kind, part: str, text: str) -> None:
        self._emit(Event(kind, part, text))


def _versions(table: RouteTable) -> list[VersionKey]:
    return [VersionKey(route.model, served.version) for route in table.routes.values() for served in route.served]
