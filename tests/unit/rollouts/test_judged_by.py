"""By what each gate is judged, as `sluice rollout status` tells it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving.cli.rollout_screen import tree
from serving.control.rollout_answers import RolloutSeen
from serving.rollouts.rollout import Rollout
from serving.rollouts.view import summary, view
from serving.routing.table import ALL_KEYS
from tests.unit.rollouts.controlled_world import World

PLAN = {
    "steps": [{"weight": 10, "duration": "1m"}],
    "gates": {"latency": {"allowed": 1.4}, "errors": {"margin": 1.5}},
    "guardrail": {"allowed": 4},
}


@pytest.fixture
async def held() -> Rollout:
    world = World(late=5)
    world.session.goal_us = 20_000
    return await world.until("step", await world.begin(PLAN))


def judged_by(held: Rollout) -> dict[str, Any]:
    seen = RolloutSeen.model_validate({**view(held, {}, 0), "shadow": None})
    # Errors of the whole model have the name of the gate.
    guards: dict[str, Any] = {one.name: one.judged_by for one in seen.guardrail}
    return guards | {one.name: one.judged_by for one in seen.gates}


async def test_latency_is_judged_by_runs_over_the_bounds_that_were_measured_and_the_ratio_of_the_plan(
    held: Rollout,
) -> None:
    found = judged_by(held)["latency"]
    assert held.basis is not None
    bounds = [bound / 1_000 for bound in held.basis.latency_bounds_us]
    assert (found.counts, found.allowed, found.bounds_ms, found.key_share) == ("runs", 1.4, bounds, None)
    over = [bounds[place] for place in held.basis.tails]
    assert [(one.over_ms, one.ratio) for one in found.margins] == [(over[0], 1.5), (over[1], 2.0)]
    assert "allowed 1.4 times as often as on the stable version (alpha 0.01)" in found.sentence


async def test_the_latency_goal_of_the_model_and_what_is_allowed_over_it_are_told(held: Rollout) -> None:
    found = judged_by(held)["over_goal"]
    assert held.before is not None
    measured = held.before.events[2] / held.before.of[2]
    assert (found.over_ms, found.allowed) == (20.0, 4.0)
    assert 4 * measured < found.rate < 8 * measured
    assert "the model's latency goal of 20 ms in all" in found.sentence


async def test_what_every_key_has_is_told_to_be_of_the_sample_and_what_few_have_of_all(held: Rollout) -> None:
    found = judged_by(replace(held, sticky=True, key_sample=ALL_KEYS // 4))
    assert [found[name].key_share for name in ("errors", "latency", "split")] == [1.0, 0.25, 0.25]
    assert (found["errors"].counts, found["latency"].counts) == ("keys", "runs")
    assert "the first of each key, beyond 100,000 keys of a sample of 25 %" in found["errors"].sentence
    assert "to promote, of that sample, less than 1.5 times as many or 0.5 points more" in found["errors"].sentence
    every = judged_by(replace(held, sticky=True))
    assert every["split"].sentence == (
        "assignments, the first of each key: the canary's share is its weight (alpha 0.001)"
    )


async def test_the_tree_shows_under_each_gate_what_it_is_judged_by(held: Rollout) -> None:
    seen = view(replace(held, sticky=True, key_sample=ALL_KEYS // 8), {}, 0)
    lines = list(tree({**summary(held), **seen, "runs": "beside"}, held.began_s))
    assert any("counted by key of a sample of 12.5 % of them" in line for line in lines)
    for gate in (*seen["gates"], *seen["guardrail"]):
        place = next(at for at, line in enumerate(lines) if line.endswith(gate["sentence"]))
        assert lines[place + 1].strip() == f"by {gate['judged_by']['sentence']}"
    assert not [line for line in tree({**seen, "runs": ""}, 0.0, judged_by=False) if line.strip().startswith("by ")]
    before = [{name: value for name, value in gate.items() if name != "judged_by"} for gate in seen["gates"]]
    assert list(tree({**seen, "gates": before, "guardrail": [], "runs": "beside"}, held.began_s))
