"""A rollout goes into the store and comes back the same."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from serving.rollouts import rollout
from serving.rollouts.evidence import nothing, with_strata
from serving.rollouts.measuring import Basis
from serving.rollouts.rollout import Rollout
from serving.rollouts.stratum import Stratum, per_request
from serving.rollouts.transition import Phase, Standing

FRESH = Rollout("r", "m", stable=1, canary=2, plan={}, started_s=1.5, began_s=2.25)


def again(held: Rollout) -> Rollout:
    return rollout.load(json.loads(json.dumps(rollout.dump(held))))


def test_whatever_it_is_made_of_comes_back() -> None:
    standing = Standing(Phase.PAUSED, 2, 3.0, "why", "scores", frozenset({"scores", "split"}), frozen=True)
    full = replace(
        FRESH, score=("y", 3), sticky=True, standing=standing, basis=Basis((1, 2, 3), (1, 2), (0.5,)), number=7
    )
    assert [again(FRESH), again(full)] == [FRESH, full]


def test_its_evidence_comes_back_to_the_last_bit() -> None:
    held = replace(FRESH, basis=Basis(), standing=Standing(Phase.STEP, 0, 3.0))
    gates = held.gates()
    rows = np.zeros((2, gates.columns), np.int64)
    rows[:, gates.firsts["errors"]] = (9, 31)
    evidence = with_strata(
        gates, nothing(gates), [per_request(Stratum(3, 1, 0, 100), np.array([500, 9_000]), rows[0], rows[1])]
    )
    found = again(held.with_evidence(evidence, 3))
    assert found.folded == 3
    assert np.array_equal(found.folded_evidence(gates).process.a, evidence.process.a)


def test_one_of_another_format_is_refused_and_fields_of_a_later_release_are_left_alone() -> None:
    assert rollout.load({**rollout.dump(FRESH), "later": 1}) == FRESH
    with pytest.raises(ValueError, match="reads format 1"):
        rollout.load({**rollout.dump(FRESH), "format": 2})
