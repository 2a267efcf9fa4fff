"""A place for rollouts in memory, as faithful as `state.rollout_store` where a controller can tell; and a session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from serving.errors import InUse, UnknownModel
from serving.processes.canary_place import Place
from serving.state.rollout_counts import StratumName


class FakeStore:
    """Documents go through JSON, as they do in Redis."""

    def __init__(self) -> None:
        self.holder, self.number, self.is_frozen = "", 0, False
        self.documents: dict[str, str] = {}
        self.living: set[str] = set()
        self.entries: list[dict[str, Any]] = []
        self.counted: dict[str, dict[StratumName, dict[str, int]]] = {}
        self.closed: dict[str, int] = {}
        self.crashed = (0, 0)
        self.faulted: dict[str, tuple[int, int]] = {}
        self.unreadable: Exception | None = None
        self.known_keys: dict[str, int] = {}
        self.forgotten: list[int] = []
        # What everybody is told that asks for a number, right or wrong: 0 for the truth.
        self.claims = 0

    def acquire(self, holder: str) -> int:
        if self.claims:
            return self.claims
        if self.holder == "":
            self.holder, self.number = holder, self.number + 1
        return self.number if self.holder == holder else 0

    def save(self, number: int, document: Mapping[str, Any], *, live: bool, entry: Mapping[str, Any] | None) -> None:
        self._fence(number)
        self.documents[document["id"]] = json.dumps(document)
        (self.living.add if live else self.living.discard)(document["id"])
        if entry is not None:
            self.entries.append(json.loads(json.dumps(entry)))

    def freeze(self, number: int, *, frozen: bool) -> None:
        self._fence(number)
        self.is_frozen = frozen

    def frozen(self) -> bool:
        return self.is_frozen

    def live(self) -> list[dict[str, Any]]:
        return [json.loads(self.documents[one]) for one in sorted(self.living)]

    def get(self, rollout_id: str) -> dict[str, Any] | None:
        return json.loads(self.documents[rollout_id]) if rollout_id in self.documents else None

    def counts(self, rollout_id: str, after: int) -> dict[StratumName, dict[str, int]]:
        if self.unreadable is not None:
            raise self.unreadable
        held = self.counted.get(rollout_id, {})
        return {name: dict(fields) for name, fields in sorted(held.items()) if name.slice > after}

    def close(self, number: int, rollout_id: str, through: int) -> None:
        self._fence(number)
        self.closed[rollout_id] = max(through, self.closed.get(rollout_id, -1))

    def crashes(self, rollout_id: str) -> tuple[int, int]:
        return self.crashed

    def faults(self, rollout_id: str) -> tuple[int, int]:
        return self.faulted.get(rollout_id, (0, 0))

    def keys(self, rollout_id: str) -> int:
        return self.known_keys.get(rollout_id, 0)

    def forget_step(self, rollout_id: str, step: int) -> None:
        self.forgotten.append(step)

    def drop_oldest(self) -> None:
        pass

    def add(self, rollout_id: str, name: StratumName, fields: Mapping[str, int]) -> None:
        """What a worker brings; late where its slice is closed."""
        assert name.slice > self.closed.get(rollout_id, -1), "counts that come late are not in this world"
        held = self.counted.setdefault(rollout_id, {}).setdefault(name, {})
        for field, count in fields.items():
            held[field] = held.get(field, 0) + count

    def _fence(self, number: int) -> None:
        if number != self.number:
            raise InUse("replaced")


class FakeSession:
    """Serves versions 1 and 2 of `m`; remembers the splits that were in force."""

    def __init__(self) -> None:
        self.splits: list[dict[str, Any]] = []
        self.state, self.why = "ready", ""
        self.score = ""
        # What version 2 takes and answers, where that is not what version 1 does.
        self.form: dict[str, Any] = {}
        self.goal_us = 0
        self.fence = 0
        self.away: Exception | None = None
        self.gauges: dict[tuple[str, ...], float | None] = {}
        # Where version 2 runs now, and where a rollout of it is to have it.
        self.pool, self.place = "p", Place("p", "beside the stable version")
        self.starts: Exception | None = None
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.set_apart = 0
        self.wish: dict[str, Any] = {}

    async def __call__(self, what: str, **facts: Any) -> Mapping[str, Any]:
        if what == "models":
            form = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}], "outputs": []}
            stable = {"version": 1, "state": "ready", "why": "", "variants": {"stable": 100.0}, **form}
            canary = {"version": 2, "state": self.state, "why": self.why, "variants": {}, "pool": self.pool, **form}
            canary |= self.form
            return {"models": [{"name": "m", "default": 1, "versions": [stable, canary]}]}
        if what == "score":
            return {"output": self.score, "index": 0, "threshold": 0.5, "goal_us": self.goal_us}
        if what == "rollout_series":
            self.gauges = {(name, *labels): value for name, labels, value in facts["gauges"]}
            return {}
        if what == "room":
            self.wish = facts["wish"]
            return asdict(self.place)
        if what == "set_apart":
            self.set_apart += 1
            await self.may_start.wait()
            if self.starts is not None:
                raise self.starts
            self.pool = self.place.pool
            return {}
        assert what == "split"
        if self.away is not None:
            raise self.away
        if facts["fence"] < self.fence:
            raise InUse("stale")
        if any(split["version"] not in (1, 2) for split in facts["splits"]):
            raise UnknownModel("no such version")
        self.fence = facts["fence"]
        self.splits.append(facts)
        return {"epoch": len(self.splits), "generation": 1}

    @property
    def canary_bp(self) -> int:
        """The share of version 2 in force."""
        return sum(split["weight_bp"] for split in self.splits[-1]["splits"] if split["version"] == 2)
