"""What the control app and the gateway workers ask of a session, answered by the supervisor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from serving.errors import BadRequest, NotReady, UnknownModel
from serving.inference import VersionKey
from serving.processes import traffic_view
from serving.processes.asking import Facts
from serving.processes.batching_view import COUNTED, batching_seen
from serving.processes.canary_place import Own, place_of
from serving.processes.events import Emit
from serving.processes.model_orders import ModelOrders
from serving.processes.release import release
from serving.processes.repository_index import Entry, index_of
from serving.processes.session_parts import SessionParts, followed
from serving.processes.session_plan import SessionPlan
from serving.processes.session_reload import following
from serving.processes.session_versions import SessionVersions
from serving.processes.session_view import models_seen, pools_seen
from serving.processes.shared_round import SharedRound
from serving.processes.traffic_view import traffic_seen
from serving.registry.manifest import read_manifest
from serving.registry.repository import MANIFEST_FILE
from serving.routing.table import Route, Split, trial_of
from serving.telemetry.log import LogSettings, use_log_settings, with_level
from serving.telemetry.snapshot import dump_usage, load_usage

# A worker that takes longer is stopped or hung: its last report, a second old at most when that began, stands for it.
_STATISTICS_WITHIN_S = 0.5


class SessionOrders:
    """`changing` is held while workers change, `ready` is set with the session's first prediction.

    `begin` takes what is done beside the orders, and owns it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a supervisor has and orders need
        self,
        plan: SessionPlan,
        parts: SessionParts,
        changing: asyncio.Lock,
        emit: Emit,
        ready: asyncio.Event,
        begin: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._parts = parts
        self._ready = ready
        self._begin = begin
        self._engine = plan.engine
        self._versions = SessionVersions(plan, parts, changing, emit, begin)
        self._views = plan.config.get("feature_views") or {}
        parts.faults.look_up_in(self._versions.table)
        root = (plan.config.get("repository") or {}).get("models_dir")
        self._models = ModelOrders(self._versions, Path(root) if root else None)
        # Everybody may ask for these, as often as they like.
        self._indexed = SharedRound(self._looked)
        self._usage_of: dict[str, SharedRound[list[Any]]] = {}
        self._batching_of: dict[str, SharedRound[Facts]] = {}
        self._answers: Mapping[str, Callable[[Facts], Awaitable[Facts]]] = {
            "health": self._health,
            "models": self._models_seen,
            "pools": self._pools_seen,
            "restart_pool": self._restart_pool,
            "load": self._load,
            "unload": self._unload,
            "split": self._split,
            "score": self._score,
            "rollout_series": self._rollout_series,
            "room": self._room,
            "set_apart": self._set_apart,
            "statistics": self._statistics,
            "batching": self._batching,
            "traffic": self._traffic,
            "index": self._index,
            "repository_load": self._repository_load,
            "repository_unload": self._repository_unload,
            "log": self._log,
            "change_log": self._change_log,
            "log_level": self._log_level,
        }

    async def obey(self, asked: Facts) -> Facts:
        """Answer one question.

        Raises:
            ServingError: what was asked for is refused; nothing has changed.
        """
        found = self._answers.get(asked["what"])
        if found is None:
            raise BadRequest(f"this session does not know {asked['what']!r}")
        return await found(asked)

    async def reload(self, plan: SessionPlan) -> None:
        """Follow another plan, with workers that are new in any case; see `SessionVersions.reload`.

        Raises:
            ServingError: it is refused, and the one before goes on.
        """
        new = following(plan, followed(plan, self._parts.start))
        await self._versions.reload(new)
        views = plan.config.get("feature_views") or {}
        if self._parts.control is not None and views != self._views:
            self._parts.control.replace(views=views)
        self._views = views

    async def _health(self, _asked: Facts) -> Facts:
        status = "ready" if self._ready.is_set() else "starting"
        workers = self._parts.gateways.alive()
        return {"status": status, "engine": self._engine, "workers": workers, "release": release()}

    async def _models_seen(self, _asked: Facts) -> Facts:
        return {"models": models_seen(await self._versions.table(), await self._described())}

    async def _pools_seen(self, _asked: Facts) -> Facts:
        engine = self._parts.engine
        numbers = (engine.replicas, engine.wished) if engine else ({}, {})
        return {"pools": pools_seen(await self._versions.table(), await self._described(), *numbers)}

    async def _restart_pool(self, asked: Facts) -> Facts:
        engine = self._parts.engine
        if engine is None:
            raise BadRequest("this session runs no pools of its own; `sluice restart` replaces its workers")
        if not engine.ready.is_set():
            raise NotReady("the engine is not ready; try again in a moment")
        await engine.ask("restart", pool=asked["pool"])
        return {"pool": asked["pool"]}

    async def _load(self, asked: Facts) -> Facts:
        return await self._versions.load(VersionKey(asked["model"], asked["version"]))

    async def _unload(self, asked: Facts) -> Facts:
        return await self._versions.unload(asked["model"], asked["version"], force=asked["force"])

    async def _split(self, asked: Facts) -> Facts:
        splits = [Split(one["variant"], one["version"], one["weight_bp"]) for one in asked["splits"]]
        trial = None if asked["trial"] is None else trial_of(asked["trial"])
        model = asked["model"]
        told = await self._versions.split(
            model, splits, trial, salt=asked["salt"], fence=asked["fence"], apart=asked.get("apart", 0)
        )
        if self._versions.apart(model):
            # It takes seconds, and is no concern of whoever judges.
            self._begin(self._versions.bring_home(model))
        return told

    async def _room(self, asked: Facts) -> Facts:
        """Where a canary would run; refused where replicas of its own find no room."""
        key = VersionKey(asked["model"], asked["canary"])
        place = place_of(self._versions.settings, key.model, asked["stable"], key.version, asked["wish"])
        if place.own is not None:
            await self._versions.room(key, place.own)
        return asdict(place)

    async def _set_apart(self, asked: Facts) -> Facts:
        key = VersionKey(asked["model"], asked["canary"])
        await self._versions.set_apart(key, Own(**asked["own"]), asked["fence"])
        return {}

    async def _score(self, asked: Facts) -> Facts:
        """What a version's owner says of its answers.

        Which output is the score, and from where on it decides; how long requests may take; "" and 0 where he does not.
        """
        key = VersionKey(asked["model"], asked["version"])
        route = (await self._versions.table()).routes.get(key.model)
        goal_us = next((one.latency_slo_us for one in route.served if one.version == key.version), 0) if route else 0
        folder = self._versions.folder(key)
        if folder is None:
            return {"output": "", "index": 0, "threshold": None, "goal_us": goal_us}
        manifest = await asyncio.to_thread(read_manifest, folder / MANIFEST_FILE)
        score = {"output": manifest.score or "", "index": manifest.score_index or 0, "threshold": manifest.threshold}
        return {**score, "goal_us": goal_us}

    async def _rollout_series(self, asked: Facts) -> Facts:
        self._parts.rollouts.use(asked["gauges"])
        return {}

    async def _index(self, _asked: Facts) -> Facts:
        return {"entries": await self._indexed()}

    async def _looked(self) -> list[Entry]:
        listing = await asyncio.to_thread(self._models.listing)
        return index_of(await self._versions.table(), await self._described(), listing)

    async def _repository_load(self, asked: Facts) -> Facts:
        await self._models.load(asked["model"], asked["config"], asked["staged"])
        return {}

    async def _repository_unload(self, asked: Facts) -> Facts:
        await self._models.unload(asked["model"])
        return {}

    async def _log(self, _asked: Facts) -> Facts:
        return asdict(self._parts.gateways.log)

    async def _change_log(self, asked: Facts) -> Facts:
        self._use_log(LogSettings(**asked["settings"]))
        return {}

    async def _log_level(self, asked: Facts) -> Facts:
        """Have a logger, and all below it, write from a level on; None has it as the others."""
        before = self._parts.gateways.log
        settings = with_level(before, asked["logger"], asked["level"])
        self._use_log(settings)
        return asdict(settings)

    def _use_log(self, settings: LogSettings) -> None:
        parts = self._parts
        use_log_settings(settings)
        for part in (parts.gateways, parts.engine, parts.control):
            if part is not None:
                part.use_log(settings)

    async def _statistics(self, asked: Facts) -> Facts:
        model = asked["model"]
        if model not in self._usage_of:
            self._usage_of[model] = SharedRound(partial(self._usage, model))
        return {"usage": await self._usage_of[model]()}

    async def _usage(self, model: str) -> list[Any]:
        told = await self._parts.gateways.ask_each("statistics", _STATISTICS_WITHIN_S, model=model)
        fresh = {worker: load_usage(answer["usage"]) for worker, answer in told.items()}
        used = self._parts.counts.usage(fresh)
        return dump_usage({key: one for key, one in used.items() if model in ("", key.model)})

    async def _batching(self, asked: Facts) -> Facts:
        model = asked["model"]
        if model not in self._batching_of:
            # Only of models that there are: whoever asks can make up any number of names.
            await self._route(model)
            self._batching_of[model] = SharedRound(partial(self._batched, model))
        return await self._batching_of[model]()

    async def _traffic(self, asked: Facts) -> Facts:
        model = asked["model"]
        await self._route(model)
        counted, workers = self._parts.counts.of_model(model, traffic_view.COUNTED), self._parts.gateways.alive()
        return traffic_seen(model, counted, time.time(), workers)

    async def _batched(self, model: str) -> Facts:
        route = await self._route(model)
        told = await self._parts.gateways.ask_each("batching", _STATISTICS_WITHIN_S, model=model)
        if not told:
            raise NotReady("no gateway worker answers; try again in a moment")
        return batching_seen(route, told, self._parts.counts.of_model(model, COUNTED))

    async def _route(self, model: str) -> Route:
        routes = (await self._versions.table()).routes
        if model not in routes:
            raise UnknownModel(f"there is no model {model!r}; known are {sorted(routes)[:20]}")
        return routes[model]

    async def _described(self) -> Facts:
        return await self._parts.gateways.ask_one("describe")
