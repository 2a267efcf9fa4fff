"""What the control app asks of a session, answered by the supervisor."""

from __future__ import annotations

import asyncio

from serving.errors import BadRequest
from serving.inference import VersionKey
from serving.processes.asking import Facts
from serving.processes.events import Emit
from serving.processes.release import release
from serving.processes.session_parts import SessionParts
from serving.processes.session_plan import SessionPlan
from serving.processes.session_versions import SessionVersions
from serving.processes.session_view import models_seen, pools_seen


class SessionOrders:
    """`changing` is held while versions change, `ready` is set with the session's first prediction."""

    def __init__(
        self, plan: SessionPlan, parts: SessionParts, changing: asyncio.Lock, emit: Emit, ready: asyncio.Event
    ) -> None:
        self._parts = parts
        self._ready = ready
        self._engine = plan.engine
        self._versions = SessionVersions(plan, parts, changing, emit)

    async def obey(self, asked: Facts) -> Facts:
        """Answer one question.

        Raises:
            ServingError: what was asked for is refused; nothing has changed.
        """
        match asked["what"]:
            case "health":
                status = "ready" if self._ready.is_set() else "starting"
                workers = self._parts.gateways.alive()
                return {"status": status, "engine": self._engine, "workers": workers, "release": release()}
            case "models":
                return {"models": models_seen(await self._versions.table(), await self._described())}
            case "pools":
                alive = self._parts.engine.replicas if self._parts.engine else {}
                return {"pools": pools_seen(await self._versions.table(), await self._described(), alive)}
            case "load":
                return await self._versions.load(VersionKey(asked["model"], asked["version"]))
            case "unload":
                return await self._versions.unload(asked["model"], asked["version"], force=asked["force"])
            case other:
                raise BadRequest(f"this session does not know {other!r}")

    async def _described(self) -> Facts:
        return await self._parts.gateways.ask_one("describe")
