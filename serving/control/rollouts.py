"""Rollouts as the control app has them: the controller that owns them, its task, and what people are shown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from serving.control.rollout_figures import RolloutFigures
from serving.control.session import AskSession
from serving.errors import BadRequest, ServingError, UnknownModel
from serving.rollouts import rollout, shadow
from serving.rollouts.beginning import check_pin
from serving.rollouts.controller import Controller
from serving.rollouts.look import replayed
from serving.rollouts.rollout import Rollout, Said
from serving.rollouts.shadow_view import shadow_view
from serving.rollouts.shares import shadowed_as
from serving.rollouts.view import summary, view
from serving.state.rollout_store import RolloutStore

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


class Rollouts:
    """`url` is the control Redis; "" where the session has none, and then nothing can be rolled out."""

    def __init__(self, url: str, session: AskSession) -> None:
        self._store = RolloutStore(url) if url else None
        self._controller = Controller(self._store, session, time.time) if self._store else None
        self._figures = RolloutFigures(self._store, session, time.time) if self._store else None
        self._session = session
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to look, until `stop`."""
        if self._controller is not None and self._figures is not None:
            self._tasks = [
                asyncio.create_task(self._keep(self._controller), name="rollouts"),
                asyncio.create_task(self._figures.keep_telling(), name="rollout figures"),
            ]

    async def stop(self) -> None:
        """Look no more; weights stay as they are."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._controller is not None:
            await self._controller.stop()

    @property
    def controller(self) -> Controller:
        """Who decides.

        Raises:
            BadRequest: the session has no control Redis.
        """
        if self._controller is None:
            raise BadRequest(_WITHOUT)
        return self._controller

    async def pin(self, model: str, version: int, by: str) -> None:
        """All traffic of a model to one version; also where nothing can be rolled out.

        Raises:
            ServingError: the version is not served, or was refused; or the order could not be given.
        """
        if self._controller is not None:
            await self._controller.pin(model, version, by)
            return
        await check_pin(self._session, model, version)
        split = {"variant": "stable", "version": version, "weight_bp": 10_000}
        await self._session("split", model=model, splits=[split], trial=None, salt=model, fence=0)

    async def lines(self, model: str) -> list[dict[str, Any]]:
        """Every rollout, or those of a model, the newest first.

        Raises:
            UnknownModel: there is no such model, and never was a rollout of it.
        """
        held = rollout.load_all(await asyncio.to_thread(self._store.all)) if self._store else []
        wanted = [one for one in held if model in ("", one.model)]
        if model and not wanted:
            known = [one["name"] for one in (await self._session("models"))["models"]]
            if model not in known:
                raise UnknownModel(f"there is no model {model!r}; known are {known[:20]}")
        return [summary(one) for one in sorted(wanted, key=lambda one: -one.started_s)]

    async def seen(self, rollout_id: str) -> dict[str, Any]:
        """One rollout with its gates.

        Raises:
            UnknownModel: there is none of that name.
        """
        return await asyncio.to_thread(self._seen, rollout_id)

    async def latest(self, which: str) -> Rollout:
        """The rollout of that id, or the last one of the model of that name.

        Raises:
            UnknownModel: there is neither.
        """
        if self._store is None:
            raise UnknownModel(f"there is no rollout {which!r}, and none of a model of that name")
        document = await asyncio.to_thread(self._store.get, which)
        if document is not None:
            return rollout.load(document)
        held = [one for one in rollout.load_all(await asyncio.to_thread(self._store.all)) if one.model == which]
        if not held:
            raise UnknownModel(f"there is no rollout {which!r}, and none of a model of that name")
        return max(held, key=lambda one: one.started_s)

    async def history(self, rollout_id: str) -> list[dict[str, Any]]:
        """What was done in it, each verdict with what its counts give by the rule as it is now.

        Raises:
            UnknownModel: there is none of that name.
        """
        return await asyncio.to_thread(self._history, rollout_id)

    def _get(self, rollout_id: str) -> tuple[RolloutStore, Rollout]:
        document = self._store.get(rollout_id) if self._store else None
        if self._store is None or document is None:
            raise UnknownModel(f"there is no rollout {rollout_id!r}; `sluice rollout status` lists them")
        return self._store, rollout.load(document)

    def _seen(self, rollout_id: str) -> dict[str, Any]:
        store, held = self._get(rollout_id)
        seen = view(held, store.counts(rollout_id, held.folded), store.late(rollout_id))
        return seen | {"shadow": _shadow(store, held)}

    def _history(self, rollout_id: str) -> list[dict[str, Any]]:
        store, held = self._get(rollout_id)
        return [_entry(held, entry) for entry in store.audit(rollout_id)]

    @staticmethod
    async def _keep(controller: Controller) -> None:
        while True:
            try:
                await controller.look()
            except ServingError as error:
                log.warning("rollouts stay as they are for now: %s", error.message)
            except Exception:
                # A defect of one look must not end all that follow.
                log.exception("a look at the rollouts failed")
            await asyncio.sleep(LOOK_EVERY_S)


def _shadow(store: RolloutStore, held: Rollout) -> dict[str, Any] | None:
    if held.in_force().shadow is None or held.standing is None:
        return None
    counted_as = shadowed_as(held)
    # What was counted since is of interest only while it goes on.
    open_slices = store.counts(counted_as, shadow.load(held.shadow).folded) if held.standing.shadowing else {}
    return shadow_view(held, open_slices, store.differences(counted_as))


_WITHOUT = (
    "rollouts are judged from counts in a control Redis, which this session has none of; start it with "
    "`sluice up --rollouts` (state.rollouts: true), or with `--engine ray`"
)


def _entry(held: Rollout, entry: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {name: entry[name] for name in ("at_s", "who", "what", "step", "why")}
    if "verdict" not in entry:
        return {**told, "replayed": None, "same": None}
    try:
        again = Said.of(replayed(entry, held))
    except ValueError as refused:
        return {**told, "replayed": f"cannot be taken again: {refused}", "same": None}
    return {**told, "replayed": again.sentence, "same": asdict(again) == entry["verdict"]}
