"""A copy of an answered request, on its way to a shadow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import orjson

from serving.errors import ServingError
from serving.features.entity_rows import EntityRows
from serving.inference import Answer, Request, Tensor, VersionKey
from serving.request_path.arm import Answered, Arm
from serving.request_path.decisions import Decision, Decisions
from serving.routing.table import Served, Shadow

Outcome = Answer | ServingError


class Original(NamedTuple):
    """What is kept of an answered request for the comparison: not its answer, which may be large."""

    arm: Arm
    shadow: Shadow
    decisions: Decisions
    decision: Decision | None
    run_s: float
    key: bytes | None
    id_json: bytes


class Copy:
    """The caller of a copy, `began` once it was handed to a backend; `tell` hears what came of it."""

    __slots__ = ("_tell", "began", "inputs", "key", "original", "request", "since", "size")

    def __init__(
        self,
        original: Original,
        key: VersionKey,
        inputs: list[Tensor],
        since: float,
        tell: Callable[[Copy, Outcome], None],
    ) -> None:
        self._tell = tell
        self.original = original
        self.key = key
        self.inputs = inputs
        self.since = since
        self.size = sum(len(tensor.data) for tensor in inputs)
        self.began = False
        self.request: Request | None = None

    def answered(self, request: Request, outcome: Outcome) -> None:
        """Nobody else hears of it."""
        del request
        self._tell(self, outcome)


def original_of(seen: Answered, shadow: Shadow) -> Original:
    """What is kept of a request that was just answered."""
    trial = seen.arm.trial
    decisions = Decisions(trial.score_output, trial.score_index, shadow.threshold)
    request = seen.request
    return Original(
        seen.arm,
        shadow,
        decisions,
        decisions.of(seen.outputs, seen.row),
        seen.run_s,
        request.key,
        request.id_json or _id_of(request.entities),
    )


def own(inputs: Sequence[Tensor]) -> list[Tensor]:
    """The same tensors, independent of what the edge does with the bytes once the request is answered."""
    return [Tensor(one.name, one.datatype, one.shape, bytes(one.data)) for one in inputs]


def _id_of(entities: object) -> bytes:
    if isinstance(entities, EntityRows) and entities.request_id:
        return orjson.dumps(entities.request_id)
    return b""


def behind_all(served: Served) -> Served:
    """With a level of priority below all that callers may ask for, where what waits is bulk."""
    return replace(served, priority_levels=copies_priority(served), max_wait_us=0)


def copies_priority(served: Served) -> int:
    """The priority of copies in a shadow's queue."""
    return max(served.priority_levels, served.default_priority) + 1
