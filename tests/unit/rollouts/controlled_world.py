"""A model whose requests are counted for a controller, with a store in memory, a clock, and receivers of webhooks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.rollouts import rollout
from serving.rollouts.controller import Controller
from serving.rollouts.rollout import Rollout
from serving.rollouts.webhooks import Webhooks
from serving.state.rollout_counts import StratumName
from tests.unit.rollouts.fake_store import FakeSession, FakeStore

PLAN = {
    "steps": [
        {"weight": 10, "duration": "1m", "max_duration": "30m"},
        {"weight": 50, "duration": "2m", "max_duration": "30m"},
    ]
}


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


@dataclass
class Receiver:
    """Every webhook there is; `status` 0 hangs."""

    status: int = 200
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> int:
        del url, timeout_s
        self.got.append((headers["webhook-id"], json.loads(body)))
        if not self.status:
            await asyncio.Event().wait()
        return self.status

    def types(self) -> list[str]:
        return [body["type"].removeprefix("rollout.") for _, body in self.got]


@dataclass
class World:
    """Two thousand requests a second, of which the arms fail some; `tick` is a second of them, and a look."""

    store: FakeStore = field(default_factory=FakeStore)
    session: FakeSession = field(default_factory=FakeSession)
    now_s: float = 1_000_000.0
    canary_errors: float = 0.01
    stable_errors: float = 0.01
    requests: int = 2_000
    # Of so many requests is each run.
    rows_a_run: int = 1
    # Of a thousand requests so many take longer in all than the goal, in whichever arm.
    late: int = 0
    weights: list[int] = field(default_factory=list)
    # Of a thousand copies so many decide otherwise, and so many fail.
    flips: int = 0
    failing: int = 0
    restarts: bool = False
    receiver: Receiver = field(default_factory=Receiver)

    def __post_init__(self) -> None:
        self.controller = self.another()
        self._left = [0.0, 0.0]

    def another(self) -> Controller:
        webhooks = Webhooks(lambda: self.now_s, at_once, self.receiver)
        return Controller(self.store, self.session, lambda: self.now_s, webhooks)

    def take_over(self) -> None:
        """The controller died, its lease ran out, and another one is there."""
        self.store.holder = ""
        self.controller = self.another()

    async def begin(self, plan: dict[str, Any] | None = None) -> str:
        begun = await self.controller.start("m", 2, PLAN if plan is None else plan, by="anna", sticky=False)
        return begun.id

    async def tick(self) -> None:
        self.now_s += 1
        self._count()
        if self.restarts:
            self.take_over()
        await self.controller.look()
        self.weights.append(self.session.canary_bp)

    async def until(self, ends: str, rollout_id: str, most_s: int = 1_500) -> Rollout:
        for _ in range(most_s):
            await self.tick()
            if self.held(rollout_id).phase == ends:
                return self.held(rollout_id)
        raise AssertionError(f"not {ends} but {self.held(rollout_id)}")

    def held(self, rollout_id: str) -> Rollout:
        document = self.store.get(rollout_id)
        assert document is not None
        return rollout.load(document)

    def _count(self) -> None:
        trial = self.session.splits[-1]["trial"]
        if trial is None or self.now_s <= trial["count_from_s"]:
            return
        name = StratumName(int((self.now_s - 1 - trial["began_s"]) // 5), 1, trial["step"], trial["weight_bp"])
        if trial["shadow"] is not None:
            self._count_stable(trial["rollout"], name)
            self._count_copies(trial["rollout"], name, self.requests * trial["shadow"]["share_bp"] // 10_000)
            return
        on_canary = self.requests * trial["weight_bp"] // 10_000
        fields: dict[str, int] = {}
        arms = ((on_canary, self.canary_errors), (self.requests - on_canary, self.stable_errors))
        for arm, (requests, rate) in enumerate(arms):
            self._left[arm] += requests * rate
            errors = int(self._left[arm])
            self._left[arm] -= errors
            seen = {"split": requests, "errors": errors, "slow.0.0": requests // self.rows_a_run}
            seen |= {"slow.1.0": requests // self.rows_a_run // 20, "ran.0": requests // self.rows_a_run}
            seen["late_runs"] = requests * self.late // 1_000
            for row in (0, 2, 4):
                fields |= {f"{row + arm}|{event}": count for event, count in seen.items()}
            fields |= {f"requests|{arm}": requests, f"keys|{arm}": requests}
        self.store.add(trial["rollout"], name, fields)

    def _count_stable(self, rollout_id: str, name: StratumName) -> None:
        seen = {"errors": int(self.requests * self.stable_errors), "late_runs": self.requests * self.late // 1_000}
        seen["ran.0"] = self.requests
        fields = {f"5|{event}": count for event, count in seen.items()}
        self.store.add(rollout_id, name, {"requests|1": self.requests, **fields})

    def _count_copies(self, rollout_id: str, name: StratumName, copies: int) -> None:
        failed, flips = copies * self.failing // 1_000, copies * self.flips // 1_000
        seen = {
            "copies.ok": copies - failed,
            "copies.failed": failed,
            "flips.0": copies - failed - flips,
            "flips.1": flips,
            "deltas.0": copies - failed,
            "runs.1.2": copies - failed,
        }
        fields = {f"{row}|{event}": count for row in (0, 2, 4) for event, count in seen.items()}
        self.store.add(rollout_id, name, fields)


async def ticking(world: World, until: Callable[[], bool]) -> None:
    """Looks until something holds: what is sent is sent beside them."""
    for _ in range(2_000):
        if until():
            return
        await asyncio.sleep(0.001)
        await world.tick()
    raise AssertionError(f"it never holds: {world.receiver.got}, {world.store.entries[-3:]}")
