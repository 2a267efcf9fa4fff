"""A rollout that an older release began goes on with all that can still be read of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import Unavailable
from serving.rollouts import rollout
from serving.rollouts.e_process import not_begun
from serving.rollouts.evidence import values
from serving.rollouts.look import replayed
from serving.rollouts.older_release import carried_over
from serving.rollouts.reading import read
from serving.rollouts.rollout import Rollout
from serving.rollouts.view import view
from tests.unit.rollouts.controlled_world import World

RECORDED = json.loads((Path(__file__).parents[2] / "fixtures" / "rollout" / "of-answers.json").read_text("utf-8"))


class Upgraded(World):
    """As the next release finds it, at the second of two steps; `changed` is another in the document."""

    async def found(self, **changed: Any) -> Rollout:
        document = json.loads(json.dumps(RECORDED["rollout"])) | changed
        self.now_s = RECORDED["now_s"]
        self.store.documents[document["id"]] = json.dumps(document)
        self.store.living.add(document["id"])
        await self.controller.look()
        return self.held(document["id"])


async def test_all_gates_but_latency_have_the_evidence_that_they_had_to_the_last_bit() -> None:
    held = rollout.load(RECORDED["rollout"])
    gates = held.gates()
    evidence = carried_over(gates, RECORDED["rollout"]["evidence"])
    found = values(gates, evidence)
    by_name = dict(zip((gate.name for gate in gates.gates), found, strict=True))
    assert RECORDED["evidence"].keys() == by_name.keys()
    assert by_name.pop("latency") == not_begun(evidence.process.next_slice)
    assert by_name == {name: value for name, value in RECORDED["evidence"].items() if name != "latency"}
    errors, latency = (read(gates, evidence, gate, found) for gate in gates.gates[:2])
    assert errors.events == tuple(RECORDED["errors"])
    assert (latency.events, latency.requests) == ((0, 0), (0, 0))
    assert evidence.requests.tolist() == RECORDED["rollout"]["evidence"]["requests"]
    assert evidence.step.keys.tolist() == RECORDED["rollout"]["evidence"]["step"]["keys"]


async def test_it_goes_on_at_its_step_and_weight_and_says_in_its_audit_and_its_sentence_what_begins_anew() -> None:
    world = Upgraded()
    held = await world.found()
    before = rollout.load(RECORDED["rollout"])
    assert held.standing is not None
    assert before.standing is not None
    assert (held.phase, held.standing.step, world.session.canary_bp) == ("step", before.standing.step, 5_000)
    assert held.standing.since_s == world.now_s > before.standing.since_s
    entry = world.store.entries[-1]
    assert (entry["who"], entry["what"], entry["step"]) == ("controller", "gone_on", 1)
    seen = view(held, {}, 0)
    assert seen["sentence"] == entry["why"] == held.standing.reason
    assert "what was seen of latency begins anew" in seen["sentence"]
    assert [one["name"] for one in seen["guardrail"]] == ["errors"]


async def test_it_is_promoted_once_runs_have_shown_what_answers_had_to_and_not_before_the_steps_time_is_over() -> None:
    world = Upgraded()
    held = await world.found()
    since_s = world.now_s
    held = await world.until("promoted", held.id)
    assert world.now_s - since_s >= 120
    assert set(world.weights) == {5_000, 10_000}
    assert replayed(world.store.entries[-1], held).reason == "step_passed"


async def test_without_runs_it_is_not_promoted() -> None:
    world = Upgraded(rows_a_run=1_000_000)
    held = await world.found()
    for _ in range(200):
        await world.tick()
    assert world.held(held.id).phase == "step"
    assert "runs over the bound: not yet shown" in world.held(held.id).said.sentence


async def test_what_spoke_against_it_before_speaks_on() -> None:
    took_s = []
    for changed in ({}, {"evidence": None}):
        world = Upgraded(canary_errors=0.013)
        held = await world.found(**changed)
        await world.until("rolled_back", held.id)
        assert world.held(held.id).said.reason == "errors"
        took_s.append(world.now_s - RECORDED["now_s"])
    assert took_s[0] < took_s[1]


async def test_one_that_is_paused_stays_so_with_its_reason() -> None:
    standing = RECORDED["rollout"]["standing"] | {"phase": "paused", "reason": "paused", "paused_by": "scores"}
    held = await Upgraded().found(standing=standing)
    assert held.standing is not None
    assert (held.phase, held.standing.paused_by, held.standing.since_s) == ("paused", "scores", standing["since_s"])
    assert held.standing.reason.startswith("paused; an older release began it")


async def test_it_goes_on_too_while_counts_cannot_be_read() -> None:
    world = Upgraded()
    world.store.unreadable = Unavailable("it takes too long")
    held = await world.found()
    assert (held.phase, world.store.entries[-1]["what"]) == ("step", "gone_on")


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"format": 3}, "format 3, and this release reads format 2: start it again"), ({"a": [0.0]}, "of other gates")],
)
async def test_evidence_that_nobody_can_read_ends_it_with_a_sentence(changed: dict[str, Any], says: str) -> None:
    world = Upgraded()
    held = await world.found(evidence=RECORDED["rollout"]["evidence"] | changed)
    assert (held.phase, held.said.reason, world.session.canary_bp) == ("aborted", "older_release", 0)
    assert says in held.said.sentence
    assert view(held, {}, 0)["gates"] == []


async def test_its_verdicts_cannot_be_taken_again() -> None:
    held = await Upgraded().found()
    with pytest.raises(ValueError, match="counted every answer of latency"):
        replayed(RECORDED["verdict"], held)
