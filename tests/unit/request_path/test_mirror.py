"""Copies for a shadow: what becomes of them is counted, and whatever it is, callers get what they got without."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from struct import pack, unpack
from typing import Any

import pytest

from serving.errors import ModelFailed, ReplicaLost
from serving.inference import Answer, Batch, Hosted, Outputs, Request, Signature, Tensor, TensorSpec, VersionKey
from serving.request_path import mirror
from serving.request_path.predict import Predictor
from serving.request_path.tallies import Tally
from serving.routing.table import Route, RouteTable, Served, Shadow, Split, Trial
from serving.testing.backend import KEY, SIGNATURE, EchoBackend
from tests.unit.request_path.conftest import Caller, Counts
from tests.unit.test_deadline import FakeTimers

SECOND = VersionKey(KEY.model, 2)
SHADOW = Shadow(2, 10_000, delta_edges=(0.01, 0.1, 1.0), threshold=0.5)
TRIAL = Trial(
    "r-shadow", 2, 0, 0, sticky=False, began_s=0.0, count_from_s=0.0,
    latency_bounds_us=(1_000, 1_000_000), score_output="y", score_index=1, score_edges=(0.5,), shadow=SHADOW,
)  # fmt: skip


class TwoVersions(EchoBackend):
    """Both echo; to what the second one answers `adds` is added, unless it `hangs`, or loses its replica."""

    def __init__(self, second: Hosted | None = None) -> None:
        super().__init__(
            [Hosted(KEY, SIGNATURE, batchable=True), second or Hosted(SECOND, SIGNATURE, batchable=True)], slots=2
        )
        self.adds = 0.0
        self.output = "y"
        self.hangs = self.crashes_with_it = False
        self.copies: list[list[float]] = []
        self.bad_copies: set[float] = set()
        self.back = 0

    async def run(self, batch: Batch) -> Outputs:
        if batch.key == KEY:
            return await super().run(batch)
        values = list(unpack(f"<{2 * batch.rows}f", batch.inputs[0].joined()))
        self.copies.append(values[::2])
        await self._mishap(values)
        data = pack(f"<{len(values)}f", *(value + self.adds for value in values))
        return Outputs((Tensor(self.output, "FP32", (batch.rows, 2), data),), run_s=2.0)

    async def _mishap(self, values: list[float]) -> None:
        try:
            await (asyncio.Event().wait() if self.hangs else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.back += 1
            raise
        if self.crashes_with_it:
            raise ReplicaLost("the replica crashed")
        if self.bad_copies & set(values):
            raise ModelFailed("the model does not like a row")


class World:
    def __init__(self, trial: Trial = TRIAL, backend: TwoVersions | None = None) -> None:
        self.timers = FakeTimers()
        self.backend = backend or TwoVersions()
        self.counts = Counts()
        self.predictor = Predictor({"pool": self.backend}, self.timers, self.counts, self.timers.time)
        splits = (Split("stable", 1, 10_000), Split("canary", 2, 0))
        route = Route(KEY.model, "salt", splits, (Served(1, "pool"), Served(2, "pool")), trial)
        self.predictor.variants.adopt(RouteTable(2, {KEY.model: route}))

    def ask(self, *values: float, request_id: str = "", key: bytes | None = None, **facts: Any) -> Caller:
        caller = Caller()
        tensor = Tensor("x", "FP32", (len(values), 2), pack(f"<{2 * len(values)}f", *(v for v in values for _ in "xx")))
        request = Request(KEY.model, [tensor], caller, self.timers.now)
        request.id_json, request.key = json.dumps(request_id).encode(), key
        for name, value in facts.items():
            setattr(request, name, value)
        self.predictor.accept(request)
        return caller

    async def turns(self, seconds: float = 0.0) -> None:
        for _ in range(60):
            await asyncio.sleep(0)
        if seconds:
            self.timers.move_to(self.timers.now + seconds)
            await self.turns()

    def tally(self) -> Tally:
        return next(tally for tally in self.predictor.variants.trials.take() if tally.canary)

    @property
    def outcomes(self) -> dict[str, int]:
        return {outcome: count for (_, outcome), count in self.predictor.mirror.counts.items()}


async def test_a_copy_runs_after_its_twin_was_answered_and_is_no_prediction_of_anybody() -> None:
    world = World()
    caller = world.ask(3.0, 4.0)
    while not caller.outcomes:
        assert world.backend.copies == []
        await asyncio.sleep(0)
    await world.turns()
    assert world.backend.copies == [[3.0, 4.0]]
    assert len(caller.outcomes) == 1
    assert [seen.variant for seen in world.counts.seen] == ["stable"]
    assert world.outcomes == {"ok": 1}


async def test_pairs_are_counted_by_decision_by_distance_and_by_time() -> None:
    world = World()
    world.backend.adds = 0.2
    for value in (0.1, 0.4, 0.6):
        world.ask(value)
    await world.turns()
    events = world.tally().events
    # The twin ran on a clock that stood still, the copy for two seconds.
    assert events == {"copies.ok": 3, "flips.0": 2, "flips.1": 1, "deltas.2": 3, "runs.0.2": 3}


async def test_where_keys_count_once_only_a_keys_first_pair_does() -> None:
    world = World(replace(TRIAL, sticky=True))
    for value in (0.1, 0.9):
        world.ask(value, key=b"N14228")
        await world.turns()
    firsts = {(first.seen, first.event) for first in world.tally().firsts}
    assert firsts == {("copies", "copies.ok"), ("flips", "flips.0"), ("deltas", "deltas.0")}


async def test_the_largest_differences_are_told_with_the_callers_id_and_without_inputs() -> None:
    world = World()
    world.backend.adds = 0.25
    world.ask(0.375, request_id="order 7")
    await world.turns()
    (difference,) = world.tally().differences
    told = json.loads(difference.text)
    assert (difference.size, told["request_id"], told["delta"], told["flipped"]) == (0.25, "order 7", 0.25, True)
    assert told["stable"] == {"score": 0.375, "decision": 0}
    assert told["shadow"] == {"score": 0.625, "decision": 1}
    assert "inputs" not in told


async def test_inputs_are_shown_where_somebody_asked_for_them() -> None:
    world = World(replace(TRIAL, shadow=replace(SHADOW, show_inputs=True)))
    world.backend.adds = 1.0
    world.ask(0.5, 9.0)
    await world.turns()
    (difference,) = world.tally().differences
    assert json.loads(difference.text)["inputs"] == {"x": [0.5, 0.5]}


async def test_only_the_largest_differences_are_kept() -> None:
    world = World()
    for number in range(30):
        world.backend.adds = 1.0 + number
        world.ask(0.0)
        await world.turns()
    sizes = sorted(difference.size for difference in world.tally().differences)
    assert sizes == [11.0 + number for number in range(20)]


async def test_a_shadow_that_hangs_is_called_back_and_then_rests() -> None:
    world = World()
    world.backend.hangs = True
    first = world.ask(1.0)
    await world.turns(1.1)
    assert isinstance(first.outcomes[0], Answer)
    assert world.backend.back == 1
    others = [world.ask(2.0) for _ in range(5)]
    await world.turns()
    assert all(isinstance(caller.outcomes[0], Answer) for caller in others)
    assert world.tally().events == {"copies.failed": 1, "copies.dropped": 5}
    assert not world.counts.refusals
    assert not world.counts.failures
    world.backend.hangs = False
    await world.turns(1.1)
    world.ask(3.0)
    await world.turns()
    assert world.backend.copies[-1] == [3.0]


async def test_a_replica_that_goes_away_is_a_crash_of_the_canary_and_its_copies_do_not_run_again() -> None:
    world = World()
    world.backend.crashes_with_it = True
    callers = [world.ask(float(number)) for number in range(4)]
    await world.turns()
    assert all(isinstance(caller.outcomes[0], Answer) for caller in callers)
    tally = world.tally()
    assert (tally.crashes, tally.events) == (1, {"copies.failed": 4})
    assert not world.predictor.suspects


async def test_of_a_batch_of_copies_only_the_guilty_one_counts_as_failed() -> None:
    world = World()
    world.backend.bad_copies = {13.0}
    for value in (12.0, 13.0, 14.0):
        world.ask(value)
    await world.turns()
    events = world.tally().events
    assert (events["copies.ok"], events["copies.failed"]) == (2, 1)


async def test_a_shadow_with_other_inputs_fails_on_every_copy() -> None:
    other = Hosted(SECOND, Signature((TensorSpec("z", "FP32", (-1, 2)),), SIGNATURE.outputs), batchable=True)
    world = World(backend=TwoVersions(other))
    assert isinstance(world.ask(1.0), Caller)
    await world.turns()
    assert world.tally().events == {"copies.failed": 1}


async def test_an_answer_without_the_score_is_a_failure() -> None:
    world = World()
    world.backend.output = "z"
    world.ask(1.0)
    await world.turns()
    assert world.tally().events == {"copies.failed": 1}


async def test_a_score_that_is_no_number_is_as_far_off_as_can_be() -> None:
    world = World()
    world.backend.adds = float("nan")
    world.ask(1.0)
    await world.turns()
    assert world.tally().events["deltas.3"] == 1


async def test_while_anybody_else_waits_no_copy_begins() -> None:
    world = World()
    total = world.predictor.queues.total
    caller = world.ask(1.0)
    for _ in range(20):
        if caller.outcomes:
            break
        await asyncio.sleep(0)
    # Rows of another model, say.
    total.rows += 3
    await world.turns(0.1)
    assert world.backend.copies == []
    total.rows -= 3
    await world.turns(0.01)
    assert world.backend.copies == [[1.0]]


async def test_copies_beyond_those_that_may_wait_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "MOST_COPIES", 3)
    world = World()
    world.backend.hangs = True
    callers = [world.ask(float(number)) for number in range(10)]
    await world.turns()
    assert all(isinstance(caller.outcomes[0], Answer) for caller in callers)
    assert world.outcomes == {"dropped": 7}
    assert world.tally().events == {"copies.dropped": 7}


async def test_inputs_that_are_too_large_to_keep_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "MOST_BYTES", 20)
    world = World()
    for values in ((1.0, 2.0, 3.0), (1.0, 2.0)):
        world.ask(*values)
        await world.turns()
    assert world.backend.copies == [[1.0, 2.0]]


async def test_a_worker_that_drains_calls_copies_back_and_takes_no_more() -> None:
    world = World()
    world.backend.hangs = True
    world.ask(1.0)
    await world.turns()
    world.predictor.mirror.stop()
    await world.turns()
    assert world.backend.back == 1
    assert all(variant.batcher.idle for variant in world.predictor.variants.all())
    world.ask(2.0)
    await world.turns()
    assert world.outcomes == {"dropped": 2}


async def test_about_the_share_of_requests_is_copied() -> None:
    random.seed(7)
    world = World(replace(TRIAL, shadow=replace(SHADOW, share_bp=2_500)))
    for _ in range(400):
        world.ask(1.0)
        await asyncio.sleep(0)
    await world.turns(0.01)
    assert 70 <= world.outcomes["ok"] <= 130


@pytest.mark.parametrize("facts", [{"version": 1}, {"pinned": "stable"}])
async def test_who_chose_a_version_is_not_copied(facts: dict[str, Any]) -> None:
    world = World()
    world.ask(1.0, **facts)
    await world.turns()
    assert world.backend.copies == []


async def test_what_stable_failed_on_is_not_copied() -> None:
    world = World()
    world.backend.bad = {pack("<2f", 13.0, 13.0)}
    world.ask(13.0)
    await world.turns()
    assert world.backend.copies == []


async def test_without_a_replica_of_the_shadow_copies_are_dropped() -> None:
    world = World()
    world.backend.host(SECOND, None)
    world.ask(1.0)
    await world.turns()
    assert world.outcomes == {"dropped": 1}
