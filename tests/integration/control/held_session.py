"""A session for the control app without processes: a routing table that orders change as in a real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from serving.config.first_table import first_route, first_table
from serving.config.settings import Settings
from serving.errors import BadRequest, ModelUnservable, NotReady, UnknownModel
from serving.inference import VersionKey
from serving.processes.batching_view import batching_seen
from serving.processes.session_view import models_seen, pools_seen
from serving.processes.traffic_view import traffic_seen
from serving.routing.table import RouteTable
from serving.routing.table_change import with_version, without_version
from serving.telemetry.log import LogSettings
from serving.telemetry.snapshot import Snapshot

TENSOR = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
FACTS = {"batchable": True, "note": "", "inputs": [TENSOR], "outputs": [TENSOR]}
BATCHED = {
    "version": 1,
    "variant": "stable",
    "estimate": {"fixed_s": 0.001, "row_s": 0.0001, "margin": 1.5, "runs": 7},
    "drag": 1.0,
    "window": {"most_rows": 64, "enough_rows": 8, "max_rows": 64},
    "goal_s": 0.02,
    "promised": True,
    "queue_rows": {"2": 3},
    "slots": 2,
    "servers": 1,
}
BATCHING = {"variants": [BATCHED], "loop_lag_s": 0.0}
IN_REPOSITORY = {VersionKey("late", 1), VersionKey("late", 2), VersionKey("other", 1)}
BROKEN = VersionKey("late", 3)
AWAY = VersionKey("late", 4)


class HeldSession:
    """Serves late/1 and other/1; late/2 can be loaded, late/3 is broken, for late/4 the engine is not ready."""

    def __init__(self) -> None:
        self._settings = Settings()
        self.table: RouteTable = first_table(self._settings, [VersionKey("late", 1), VersionKey("other", 1)])

    async def __call__(self, what: str, **facts: Any) -> Mapping[str, Any]:  # noqa: PLR0911 - one for each question
        match what:
            case "health":
                return {"status": "ready", "engine": "ray", "workers": 2, "release": "1"}
            case "models":
                return {"models": models_seen(self.table, self._described())}
            case "pools":
                return {"pools": pools_seen(self.table, self._described(), {"default": 1}, {})}
            case "batching" | "traffic":
                return self._seen(what, facts["model"])
            case "load":
                return self._load(VersionKey(facts["model"], facts["version"]))
            case "restart_pool":
                return self._restarted(facts["pool"])
            case "log" | "log_level":
                return asdict(LogSettings())
            case "unload":
                return self._unload(**facts)
            case _:
                return self._split(facts["model"])

    def _restarted(self, pool: str) -> Mapping[str, Any]:
        if pool != "default":
            raise BadRequest(f"no pool {pool!r} runs in this session; there are default")
        return {"pool": pool}

    def _split(self, model: str) -> Mapping[str, Any]:
        if model not in self.table.routes:
            raise UnknownModel(f"there is no model {model!r}")
        raise UnknownModel(f"model {model!r} has no such version")

    def _seen(self, what: str, model: str) -> Mapping[str, Any]:
        if model not in self.table.routes:
            raise UnknownModel(f"there is no model {model!r}")
        if what == "traffic":
            return traffic_seen(model, Snapshot(), 5.0, 2)
        return batching_seen(self.table.routes[model], {1: BATCHING}, Snapshot())

    def _load(self, key: VersionKey) -> Mapping[str, Any]:
        if key == BROKEN:
            raise ModelUnservable("late/3/model.onnx: it is cut off; copy it again")
        if key == AWAY:
            raise NotReady("the engine is not ready; try again in a moment")
        if key not in IN_REPOSITORY:
            raise UnknownModel(f"the repository has no {key}")
        before = self.table
        self.table = with_version(before, first_route(self._settings, key.model, {key.version}), key.version)
        return {"model": key.model, "version": key.version, "changed": self.table is not before}

    def _unload(self, model: str, version: int | None, *, force: bool) -> Mapping[str, Any]:
        before = self.table
        self.table = without_version(before, model, version, force=force)
        kept = self.table.routes.get(model)
        left = {served.version for served in kept.served} if kept else set()
        return {"model": model, "versions": [s.version for s in before.routes[model].served if s.version not in left]}

    def _described(self) -> dict[str, Any]:
        routed = [f"{route.model}/{served.version}" for route in self.table.routes.values() for served in route.served]
        replica = {"replica": "r1", "address": "unix:///r/1", "state": "ready", "rows": 3}
        return {"hosted": dict.fromkeys(routed, FACTS), "refused": {}, "pools": {"default": [replica]}}
